"""Runs of the warm runner leave nothing behind: not for the next run, not on the machine, not in the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from process_kit import alive, all_die, descendants, eventually, open_files
from runner_corpus import (
    PROGRAM,
    RIGHT,
    SHORT,
    TEST_FILE,
    TESTS,
    WRONG,
    Case,
    difference,
    each,
    once,
)

from pytest_repoagent.errors import InfrastructureError, RepoAgentError, UsageError
from pytest_repoagent.testrun.base import Job, Runner
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner
from pytest_repoagent.testrun.warm_runner import WarmRunner

SPLIT, TOGETHER = ("programs/",), ()


@pytest.fixture(scope="module")
def shared() -> Iterator[Runner]:
    """One for all tests that do not break it."""
    runner = WarmRunner("auto")
    yield runner
    runner.close()


@pytest.fixture
def own() -> Iterator[Runner]:
    runner = WarmRunner("auto")
    yield runner
    runner.close()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a runner made now keeps its folders."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def passes(runner: Runner, job: Job, program: str = RIGHT) -> bool:
    return runner.run(replace(job, candidate={PROGRAM: program})).passed


# What a process is like, part by part; paths below its own folder are the same in each run.
STATE = """
import builtins, decimal, gc, json, locale, logging, os, random, resource, signal, sys, threading, warnings, zlib

HERE = os.getcwd()


def attempt(action):
    try:
        return action()
    except OSError:
        return None


def state():
    parts = {
        "path": sys.path,
        "modules": sorted(sys.modules),
        "builtins": sorted(vars(builtins)),
        "json": sorted(vars(json)),
        "environment": sorted(pair for pair in os.environ.items() if pair[0] != "PYTEST_CURRENT_TEST"),
        "folder": [os.path.basename(HERE), sorted(os.listdir("."))],
        "home": sorted(os.listdir(os.environ["HOME"])) if os.path.isdir(os.environ.get("HOME", "")) else "",
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "timer": [bool(left) for left in signal.getitimer(signal.ITIMER_REAL)],
        "threads": threading.active_count(),
        "limits": [resource.getrlimit(number) for number in range(10)],
        "umask": attempt(lambda: [umask := os.umask(0), os.umask(umask)][0]),
        "recursion": sys.getrecursionlimit(),
        "switch": sys.getswitchinterval(),
        "trace": [str(sys.gettrace()), str(sys.getprofile())],
        "gc": [gc.isenabled(), gc.get_threshold()],
        "decimal": decimal.getcontext().prec,
        "locale": locale.setlocale(locale.LC_ALL),
        "warnings": warnings.filters,
        "logging": [str(type(handler)) for handler in logging.getLogger().handlers],
        "hooks": [sys.excepthook is sys.__excepthook__, len(sys.meta_path), len(sys.path_hooks)],
        "files": [number for number in range(64) if attempt(lambda: os.fstat(number))],
        "session": os.getsid(0) == os.getpid(),
    }
    folder = os.path.dirname(HERE)
    return {name: zlib.crc32(repr(part).replace(folder, "").encode()) % 10**6 for name, part in parts.items()}


def f(x):
    raise ValueError(" ".join(f"{name}={value}" for name, value in state().items()))
"""

LEAKS = {
    "modules": "import sys, json\njson.left = 1\nsys.modules['left'] = sys.modules.pop('json')",
    "path": "import sys\nsys.path.append('left')\nsys.meta_path.clear()\nsys.path_hooks.clear()",
    "builtins": "import builtins\nbuiltins.left = 1\nbuiltins.abs = None",
    "environment": "import os\nos.environ['LEFT'] = '1'\nos.environ.pop('LANG', '')",
    "folder": "import os\nos.chdir('/')",
    "signals": "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "blocked signals": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])",
    "timer": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 1000)",
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "limits": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))",
    "umask": "import os\nos.umask(0o777)",
    "interpreter": "import sys, gc\nsys.setrecursionlimit(5000)\nsys.setswitchinterval(1)\ngc.disable()",
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
    "decimal": "import decimal\ndecimal.getcontext().prec = decimal.DefaultContext.prec = 5",
    "logging": "import logging, warnings\nlogging.basicConfig()\nwarnings.simplefilter('error')",
    "files": "import os\nfor _ in range(20): os.dup(0)",
    "hooks": "import sys, atexit\natexit.register(print)\nsys.excepthook = None",
    "output": "import sys, os\nsys.stdout.write('half a line')\nos.close(1)\nos.close(2)\nos.close(0)",
    "crash": "import os\nos.abort()",
    "exit": "import os\nos._exit(0)",
}
SHOWS_NO_STATE = {"output", "crash", "exit"}


@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
def test_no_state_of_a_run_reaches_the_next(shared: Runner, tmp_path: Path, editable: tuple[str, ...]) -> None:
    job = Case(STATE).job(tmp_path, editable)
    clean = shared.run(job)
    assert "modules=" in clean.text
    for leak, statement in LEAKS.items():
        for program in (once(statement), each(statement)):
            shared.run(replace(job, candidate={PROGRAM: program}))
        assert shared.run(job).tests == clean.tests, leak


@pytest.mark.parametrize("leak", [name for name in LEAKS if name not in SHOWS_NO_STATE])
def test_the_state_would_show(leak: str) -> None:
    """Otherwise the test before says nothing: a leak changes the state of its own process."""
    program = f"{STATE}\nbefore = state()\n{LEAKS[leak]}\nassert state() != before\nimport os\nos._exit(7)"
    environment = {**os.environ, "HOME": str(Path.cwd())}
    result = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, env=environment, check=False)
    assert result.returncode == 7, result.stderr


TESTS_THAT_LEAK = """
import os, random, sys
import pytest
from programs.prog import f

SEEN = []
FIRST = random.random()


@pytest.fixture(scope="session")
def once():
    SEEN.append("fixture")


@pytest.mark.parametrize("x", [1, 2, 3])
def test_f(x, once, tmp_path):
    SEEN.append(x)
    os.environ["LEFT"] = sys.left = str(x)
    assert SEEN == ["fixture", *range(1, x + 1)]
    assert tmp_path.name == f"test_f_{x}_0"
    (tmp_path / "left").touch(exist_ok=False)
    assert f(x) == 2 * x


def test_last():
    assert "LEFT" in os.environ
    print(f(random.random()))
    assert not SEEN
"""


@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
def test_the_tests_own_state_starts_anew_in_each_run(shared: Runner, tmp_path: Path, editable: tuple[str, ...]) -> None:
    job = Case(RIGHT, TESTS_THAT_LEAK).job(tmp_path, editable)
    verdicts = [shared.run(job) for _ in range(3)]
    assert all(verdict.counts == {"passed": 3, "failed": 1} for verdict in verdicts), verdicts[0].text
    assert len({verdict.tests[-1].detail for verdict in verdicts}) == 3, "random numbers repeat"


@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
def test_random_numbers_are_random(shared: Runner, tmp_path: Path, editable: tuple[str, ...]) -> None:
    program = (
        "import os, random, secrets, uuid, tempfile\ndef f(x):\n"
        "    raise ValueError(random.random(), secrets.token_hex(4), uuid.uuid4().hex[:6])\n"
    )
    job = Case(program).job(tmp_path, editable)
    details = [detail for _ in range(3) for detail in shared.run(job).tests[0].detail.rpartition("(")[2].split(", ")]
    assert len(set(details)) == 9


@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
def test_good_and_bad_alternate(shared: Runner, tmp_path: Path, editable: tuple[str, ...]) -> None:
    """Of the same length, in the same second: nothing may be taken for what it was before."""
    assert len(RIGHT) == len(WRONG)
    job = Case(RIGHT).job(tmp_path, editable)
    assert [passes(shared, job, program) for program in [RIGHT, WRONG] * 20] == [True, False] * 20


def test_two_tasks_in_turn(shared: Runner, tmp_path: Path) -> None:
    one = Case(RIGHT).job(tmp_path / "one")
    tests = TESTS.replace("2 * x", "2 + x").replace("[1, 2, 3]", "[1, 2, 3, 4]")
    two = Case(WRONG, tests, passed=4).job(tmp_path / "two")
    for _ in range(5):
        assert [passes(shared, job, program) for job in (one, two) for program in (RIGHT, WRONG)] == [
            *(True, False, False, True)
        ]


@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
@pytest.mark.parametrize("path", [TEST_FILE, "tests/data.json", "conftest.py", "tests/helper.py", "pytest.ini"])
def test_a_pristine_file_that_changes_is_noticed(
    shared: Runner, tmp_path: Path, path: str, editable: tuple[str, ...]
) -> None:
    """Even where neither its size nor its time has changed."""
    files = {
        TEST_FILE: "import json, pathlib, pytest, helper\nfrom programs.prog import f\n"
        "N = json.loads(pathlib.Path(__file__).with_name('data.json').read_text())\n"
        "def test_a():\n    assert f(2) + N + pytest.n + helper.N == 4 + 10 * 3\ndef check_b():\n    assert 0\n",
        "tests/data.json": "10",
        "tests/helper.py": "N = 10\n",
        "conftest.py": "import pytest\npytest.n = 10\n",
        "pytest.ini": "[pytest]\npython_functions = test_*  # 10\n",
    }
    job = Case(RIGHT, files, passed=1).job(tmp_path, editable)
    file = tmp_path / path
    assert passes(shared, job)
    before = file.stat()
    file.write_text(files[path].replace("test_*  # 10", "*_b     # 10").replace("10", "11"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert not passes(shared, job)
    file.write_text(files[path])
    assert passes(shared, job)


def test_a_pristine_program_that_changes_is_noticed(shared: Runner, tmp_path: Path) -> None:
    job = Case({PROGRAM: RIGHT}, pristine={PROGRAM: WRONG, "programs/two.py": "TWO = 2\n"}).job(tmp_path)
    program = "from programs.two import TWO\ndef f(x):\n    return TWO * x\n"
    assert passes(shared, job, program)
    (tmp_path / "programs/two.py").write_text("TWO = 3\n")
    assert not passes(shared, job, program)


def test_other_arguments_and_files_are_another_task(shared: Runner, tmp_path: Path) -> None:
    tests = TESTS + "\ndef test_more():\n    assert f(4) == 8\n"
    job = Case(RIGHT, {TEST_FILE: tests, "conftest.py": "raise SystemExit\n"}).job(tmp_path)
    job = replace(job, paths=(PROGRAM, TEST_FILE))
    assert shared.run(job).text == "4 tests passed where 3 must (so far: 4 passed)"
    assert passes(shared, replace(job, expected_passed=4))
    assert passes(shared, replace(job, command=(*job.command, "-k", "not more")))
    assert not passes(shared, replace(job, paths=(*job.paths, "conftest.py"), expected_passed=4))


def test_limits_are_those_of_the_job(shared: Runner, tmp_path: Path) -> None:
    program = each("assert len(bytearray(300 << 20))")
    job = Case(program).job(tmp_path)
    assert [
        shared.run(replace(job, limits=replace(job.limits, memory_bytes=size << 20))).passed
        for size in (200, 500, 200, 500)
    ] == [False, True, False, True]


def test_many_tasks(own: Runner, tmp_path: Path) -> None:
    """What is kept ready for tasks is bounded, and a task that was dropped is made anew."""
    jobs = [Case(RIGHT, TESTS.replace("test_f", f"test_f{n}")).job(tmp_path / str(n)) for n in range(40)]
    running = []
    for job in [*jobs, jobs[0], jobs[20]]:
        assert passes(own, job)
        assert not passes(own, job, WRONG)
        running.append(len(descendants(os.getpid())))
    assert max(running[20:]) == max(running[:20])
    assert max(running) < 25


FOLDERS = ["with space", "\u00fcml\u00e4ut \u96ea", "'quote\"", "[brackets]*", "a" * 200, "/".join(["deep"] * 40)]


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("editable", [SPLIT, TOGETHER], ids=["split", "together"])
def test_odd_folders(shared: Runner, tmp_path: Path, name: str, editable: tuple[str, ...]) -> None:
    job = Case(RIGHT).job(tmp_path / name, editable)
    assert passes(shared, job)
    assert difference(
        SubprocessRunner().run(replace(job, candidate={})), shared.run(replace(job, candidate={}))
    ) == difference((verdict := shared.run(job)), verdict)


def test_odd_file_names(shared: Runner, tmp_path: Path) -> None:
    files = {
        TEST_FILE: TESTS,
        "tests/d\u00e4ta \u96ea.txt": "x",
        "a/" * 30 + "b.txt": "x",
        "programs/with space.txt": "y",
    }
    assert passes(shared, Case(RIGHT, files).job(tmp_path))


def test_a_root_that_cannot_be_written(shared: Runner, tmp_path: Path) -> None:
    job = Case(RIGHT).job(tmp_path / "root")
    folders = [tmp_path / "root", tmp_path / "root/programs", tmp_path / "root/tests"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert passes(shared, job)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert sorted(path.name for path in (tmp_path / "root").rglob("*")) == [
        *("prog.py", "programs", "test_prog.py", "tests")
    ]


@pytest.mark.parametrize("name", ["python", sys.executable])
def test_the_interpreter(shared: Runner, tmp_path: Path, name: str) -> None:
    job = Case(RIGHT).job(tmp_path)
    job = replace(job, command=(name, *job.command[1:]))
    assert passes(shared, job)
    assert not passes(shared, job, WRONG)


def test_an_interpreter_without_pytest_is_no_verdict(shared: Runner, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    job = Case(RIGHT).job(tmp_path / "root")
    job = replace(job, command=(str(tmp_path / "bare/bin/python"), *job.command[1:]))
    for runner in (SubprocessRunner(), shared):
        with pytest.raises(RepoAgentError, match="No module named 'pytest'"):
            runner.run(job)


@pytest.mark.parametrize("command", [("pytest",), ("python", "-m", "unittest"), ("no-such-python", "-m", "pytest")])
def test_a_command_that_cannot_be_run_is_a_usage_error(
    shared: Runner, tmp_path: Path, command: tuple[str, ...]
) -> None:
    job = replace(Case(RIGHT).job(tmp_path), command=command)
    for runner in (SubprocessRunner(), shared):
        with pytest.raises(UsageError, match=command[0]):
            runner.run(job)


def test_an_interpreter_that_is_none_is_no_verdict(shared: Runner, tmp_path: Path) -> None:
    job = replace(Case(RIGHT).job(tmp_path), command=("true", "-m", "pytest"))
    with pytest.raises(RepoAgentError, match="true"):
        shared.run(job)


@pytest.mark.parametrize(
    ("path", "words"),
    [("gone.py", "gone.py"), ("../outside.py", "outside.py"), ("link.py", "link.py"), ("tests", "tests")],
)
def test_a_pristine_file_that_cannot_be_had_is_no_verdict(
    shared: Runner, tmp_path: Path, path: str, words: str
) -> None:
    job = Case(RIGHT).job(tmp_path / "root")
    (tmp_path / "outside.py").touch()
    (tmp_path / "root/link.py").symlink_to(tmp_path / "outside.py")
    job = replace(job, paths=(*job.paths, path))
    with pytest.raises(InfrastructureError, match=words):
        SubprocessRunner().run(job)
    with pytest.raises(InfrastructureError, match=words):
        shared.run(job)
    assert passes(shared, Case(RIGHT).job(tmp_path / "root"))


def test_a_thread_may_use_it(own: Runner, tmp_path: Path) -> None:
    """The server outlives the thread that started it."""
    job = Case(RIGHT).job(tmp_path)
    verdicts: list[bool] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: verdicts.append(passes(own, job)))
        thread.start()
        thread.join()
        before = descendants(os.getpid())
        assert passes(own, job)
        assert set(descendants(os.getpid())) == set(before)
    assert verdicts == [True, True]


def test_hundreds_of_runs_leave_the_driver_as_it_was(own: Runner, tmp_path: Path) -> None:
    job = Case(RIGHT).job(tmp_path)
    passes(own, job)
    files, threads, running = open_files(), threading.active_count(), descendants(os.getpid())
    for number in range(300):
        assert passes(own, job, RIGHT if number % 2 else WRONG) == bool(number % 2)
    assert (open_files(), threading.active_count()) == (files, threads)
    assert set(descendants(os.getpid())) == set(running)


def test_closing_it_leaves_no_process_and_no_folder(scratch: Path, tmp_path: Path) -> None:
    files = open_files()
    runner = WarmRunner("auto")
    before = set(descendants(os.getpid()))
    job = Case(RIGHT).job(tmp_path / "root")
    runner.check()
    assert passes(runner, job)
    assert passes(runner, replace(job, editable=()))
    started = set(descendants(os.getpid())) - before
    runner.close()
    assert all_die(started)
    assert not list(scratch.iterdir())
    assert open_files() == files
    runner.close()
    assert passes(runner, job), "a closed runner starts anew"
    runner.close()
    assert not list(scratch.iterdir())


def test_a_run_leaves_no_file_and_no_process(own: Runner, scratch: Path, tmp_path: Path) -> None:
    job = Case(RIGHT).job(tmp_path / "root")
    for editable in (SPLIT, TOGETHER):
        assert passes(own, replace(job, editable=editable))
    files = sorted(str(path) for path in scratch.rglob("*"))
    running = set(descendants(os.getpid()))
    programs = [
        once("import os, tempfile\nopen('left', 'w').close()\ntempfile.mkdtemp()\nos.mkdir('a')\nos.chmod('a', 0)"),
        "while True: pass\n",
        each("import os\nos.abort()"),
        each("import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()"),
    ]
    for editable in (SPLIT, TOGETHER):
        for program in programs:
            own.run(replace(job, candidate={PROGRAM: program}, editable=editable, limits=SHORT))
    assert passes(own, job)
    assert passes(own, replace(job, editable=()))
    assert passes(own, job)
    assert sorted(str(path) for path in scratch.rglob("*")) == files
    assert set(descendants(os.getpid())) == running


DRIVER = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from runner_corpus import Case, RIGHT, each
from pytest_repoagent.testrun.warm_runner import WarmRunner
tempfile.tempdir = sys.argv[2]
runner = WarmRunner("auto")
runner.check()
root = Path(sys.argv[1])
assert runner.run(Case(RIGHT).job(root)).passed
print("ready", flush=True)
runner.run(Case(each(sys.argv[4])).job(root))
"""
BUSY = {
    "idle": "import time; time.sleep(3600)",
    "loop": "while True: pass",
    "deaf": "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
}


@pytest.mark.parametrize("busy", BUSY)
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_ends_with_the_driver(tmp_path: Path, scratch: Path, sent: signal.Signals, busy: str) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "root"), str(scratch), here, BUSY[busy]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == b"ready\n"
        before = set(descendants(driver.pid))
        assert before
        assert eventually(lambda: len(descendants(driver.pid)) > len(before))
        started = set(descendants(driver.pid))
        driver.send_signal(sent)
        driver.wait(20)
    assert all_die(before | started)


def test_a_program_that_starts_many_threads_does_not_outlive_its_run(own: Runner, tmp_path: Path) -> None:
    statement = (
        "import threading, time\ntry:\n    while True: threading.Thread(target=time.sleep, args=(99,)).start()\n"
        "except RuntimeError: pass"
    )
    job = Case(each(statement)).job(tmp_path)
    passes(own, job)
    before = set(descendants(os.getpid()))
    for editable in (SPLIT, TOGETHER):
        own.run(replace(job, editable=editable))
        assert all_die(set(descendants(os.getpid())) - before)
    assert all(alive(pid) for pid in before)
