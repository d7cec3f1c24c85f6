from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.testrun.base import Job, Limits, Verdict
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

TESTS = """
import pytest
from prog import f

@pytest.mark.parametrize("x", [1, 2, 3])
def test_f(x):
    assert f(x) == 2 * x
"""
RIGHT = "def f(x):\n    return 2 * x\n"
WRONG = "def f(x):\n    return 2 + x\n"
CORRECT = "    return 2 * x\n"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs make their private folders; none may be left after a run."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def make_job(tmp_path: Path, program: str, *args: str, files: Mapping[str, str] | None = None) -> Job:
    pristine = {"prog.py": WRONG, "test_prog.py": TESTS, **(files or {})}
    for name, text in pristine.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    command = ("python", "-m", "pytest", *(args or ("-q", "test_prog.py")))
    limits = Limits(cpu_s=5, memory_bytes=512 << 20)
    return Job(tmp_path / "root", tuple(pristine), {"prog.py": program}, command, 3, limits=limits)


def run(tmp_path: Path, program: str, *args: str, files: Mapping[str, str] | None = None) -> Verdict:
    return SubprocessRunner().run(make_job(tmp_path, program, *args, files=files))


PASSING = {
    "plain": RIGHT,
    "byte order mark": "\ufeff" + RIGHT,
    "CRLF": RIGHT.replace("\n", "\r\n"),
    "unicode": "def f(x):\n    print('\u00fc\U0001f600')\n" + CORRECT,
    "daemon thread": "import threading, time\ndef f(x):\n"
    "    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n" + CORRECT,
    "thread": "import threading, time\ndef f(x):\n"
    "    threading.Thread(target=time.sleep, args=(99,)).start()\n" + CORRECT,
    "exit handler that hangs": "import atexit, time\natexit.register(time.sleep, 99)\n" + RIGHT,
    "fork that goes on running the tests": "import os\ndef f(x):\n    os.fork()\n" + CORRECT,
    "nothing on stdin": "import os\nassert os.read(0, 1) == b''\n" + RIGHT,
    "same hash seed": "import sys\nassert sys.flags.hash_randomization == 0\n" + RIGHT,
    "patches what the reporter uses": "import os, json, pytest\n"
    "os.getpid = lambda: 1\njson.dumps = os.write = None\n" + RIGHT,
}


@pytest.mark.parametrize("program", PASSING.values(), ids=PASSING)
def test_passes(tmp_path: Path, scratch: Path, program: str) -> None:
    verdict = run(tmp_path, program)
    assert (verdict.passed, verdict.reason, verdict.text) == (True, "passed", "3 passed")
    assert verdict.counts == {"passed": 3}
    assert [test.test_id for test in verdict.tests] == [f"test_prog.py::test_f[{x}]" for x in (1, 2, 3)]
    assert verdict.runner == "subprocess"
    assert verdict.cpu_s > 0
    assert not list(scratch.iterdir())


NOT_PASSING = {
    "wrong": (WRONG, "failed", "2 failed, 1 passed\nFAILED test_prog.py::test_f[1]"),
    "sys.exit": ("import sys\ndef f(x):\n    sys.exit(0)\n", "failed", "SystemExit: 0"),
    "sys.exit at import": ("import sys\nsys.exit(0)\n", "collection_error", "SystemExit: 0"),
    "_exit": ("import os\ndef f(x):\n    os._exit(0)\n", "incomplete", "exit status 0 in test_f[1]"),
    "_exit at import": ("import os\nos._exit(0)\n", "incomplete", "exit status 0 before the first test"),
    "skip": (
        "import pytest\ndef f(x):\n    pytest.skip('easy')\n",
        "incomplete",
        "skipped 3 tests that must run (so far: 3 skipped)\nSKIPPED test_prog.py::test_f[1]\nSkipped: easy",
    ),
    "skip at import": ("import pytest\npytest.skip('x', allow_module_level=True)", "incomplete", "no tests ran"),
    "xfail": ("import pytest\ndef f(x):\n    pytest.xfail('known')\n", "incomplete", "marked xfail"),
    "interrupt": ("def f(x):\n    raise KeyboardInterrupt\n", "incomplete", "stopped in test_f[1]"),
    "interrupt at import": ("raise KeyboardInterrupt\n", "incomplete", "stopped before the first test"),
    "pytest.exit": ("import pytest\ndef f(x):\n    pytest.exit('done', 0)\n", "incomplete", "Exit: done"),
    "syntax error": ("def f(x)\n", "collection_error", "SyntaxError: expected ':'"),
    "import error": ("import nothing_like_it\n", "collection_error", "No module named 'nothing_like_it'"),
    "missing name": ("def g(x): ...\n", "collection_error", "cannot import name 'f'"),
    "NUL": ("\0", "collection_error", "null bytes"),
    "lone surrogate": ("s = '\ud800'\n" + RIGHT, "collection_error", "utf-8"),
    "SIGSEGV": (
        "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
        "crashed",
        "killed by SIGSEGV in test_f[1]\nFatal Python error: Segmentation fault\n\nCurrent thread 0x..",
    ),
    "SIGKILL": ("import os\ndef f(x):\n    os.kill(os.getpid(), 9)\n", "crashed", "killed by SIGKILL"),
    "memory": ("def f(x):\n    return len(bytearray(1 << 40))\n", "failed", "MemoryError"),
    "memory piece by piece": ("def f(x):\n    return [bytearray(1 << 20) for _ in range(99999)]\n", "failed", "Mem"),
    "endless captured output": ("def f(x):\n    while True:\n        print('x' * 9999)\n", "failed", "too large"),
    "closed channel": ("import os\nos.closerange(3, 256)\n" + RIGHT, None, ""),
    "noise on the channel": (
        "import os, stat\n"
        "for fd in range(3, 256):\n"
        "    try:\n"
        "        stat.S_ISFIFO(os.fstat(fd).st_mode) and os.write(fd, b'{}\\n')\n"
        "    except OSError:\n"
        "        pass\n" + RIGHT,
        "crashed",
        "the report channel carried a line without the nonce",
    ),
}


@pytest.mark.parametrize(("program", "reason", "text"), NOT_PASSING.values(), ids=NOT_PASSING)
def test_does_not_pass(tmp_path: Path, scratch: Path, program: str, reason: str | None, text: str) -> None:
    verdict = run(tmp_path, program)
    assert not verdict.passed
    assert reason in (None, verdict.reason), verdict
    assert text in verdict.text
    assert str(scratch) not in repr(verdict)
    assert not list(scratch.iterdir())


LOOPS = {
    "loop": ("def f(x):\n    while x == 2: pass\n" + CORRECT, "in test_f[2] (so far: 1 passed)"),
    "loop at import": ("while True: pass\n", "before the first test"),
    "loop that outlives SIGXCPU": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n",
        "before the first test",
    ),
}


@pytest.mark.parametrize(("program", "text"), LOOPS.values(), ids=LOOPS)
def test_a_loop_meets_the_cpu_limit(tmp_path: Path, program: str, text: str) -> None:
    job = make_job(tmp_path, program)
    verdict = SubprocessRunner().run(replace(job, limits=replace(job.limits, cpu_s=1.0)))
    assert verdict.reason == "timed_out"
    assert verdict.text == "timed out after 1 s " + text


def test_deep_recursion_is_told_shortly(tmp_path: Path) -> None:
    text = run(tmp_path, "def f(x):\n    return g(x + 1)\ndef g(x):\n    return f(x + 1)\n").text
    assert "RecursionError" in text
    assert text.count("in g") < 4


def test_sleeping_forever_meets_the_wall_limit(tmp_path: Path) -> None:
    job = make_job(tmp_path, "import time\ndef f(x):\n    time.sleep(3600)\n")
    verdict = SubprocessRunner().run(replace(job, limits=Limits(cpu_s=0.5)))
    assert verdict.reason == "timed_out"
    assert verdict.text == "timed out (no CPU progress: wall limit 6.5 s) in test_f[1]"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_bounded(tmp_path: Path, stream: str) -> None:
    program = f"import sys\ndef f(x):\n    while True: print('x' * 999, file=sys.{stream})\n"
    verdict = run(tmp_path, program, "-s", "test_prog.py")
    assert verdict.reason == "output_limit"
    assert verdict.text == "stopped after more than 4194304 bytes of output in test_f[1]"


def test_a_conftest_beside_the_program_is_not_loaded(tmp_path: Path) -> None:
    job = make_job(tmp_path, "", "tests/test_p.py", files={"tests/test_p.py": TESTS.replace("prog", "programs.prog")})
    conftest = "import pytest\n@pytest.hookimpl\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    job = replace(job, candidate={"programs/prog.py": WRONG, "programs/conftest.py": conftest})
    assert SubprocessRunner().run(job).counts == {"failed": 2, "passed": 1}


def test_the_same_code_gives_the_same_text(tmp_path: Path) -> None:
    program = (
        "class Thing: ...\ndef f(x):\n    print('\\x1b[31mred\\x1b[0m \\u00fc', Thing())\n"
        "    return {Thing() for _ in range(9)}, {'a', 'b', 'c', __file__}\n"
    )
    first, second = (run(tmp_path, program) for _ in range(2))
    assert (first.text, first.tests) == (second.text, second.tests)
    assert "Captured stdout:\nred \u00fc <prog.Thing object at 0x..>" in first.text
    assert len(first.text) <= 2000


def test_the_tasks_own_configuration_is_honoured_and_no_other(tmp_path: Path, scratch: Path) -> None:
    (scratch / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (scratch / "conftest.py").write_text("raise SystemExit\n")
    own = {
        "pytest.ini": "[pytest]\npython_functions = check\n",
        "test_prog.py": "def check(): ...\ndef test_f(): ...\n",
    }
    assert run(tmp_path, RIGHT).passed
    verdict = run(tmp_path, RIGHT, files=own)
    assert [test.test_id for test in verdict.tests] == ["test_prog.py::check"]
    assert verdict.text == "1 test passed where 3 must (so far: 1 passed)"


def test_a_conftest_that_cannot_be_imported_is_a_collection_error(tmp_path: Path) -> None:
    verdict = run(tmp_path, "def f(x)\n", files={"conftest.py": "import prog\n"})
    assert verdict.reason == "collection_error"
    assert "SyntaxError" in verdict.text


FIXTURES = """
import pytest

@pytest.fixture
def broken():
    raise ValueError("setup")

@pytest.fixture
def breaking():
    yield
    raise ValueError("teardown")

def test_setup(broken): ...
def test_teardown(breaking): ...
def test_both(breaking): assert False
@pytest.mark.xfail
def test_xpass(): ...
@pytest.mark.xfail(strict=True)
def test_strict(): ...
def test_subtests(subtests):
    with subtests.test("a"): pytest.skip("quietly")
def test_subtests_fail(subtests):
    with subtests.test("a"): assert 1 == 2
def test_fine(): ...
"""


def test_outcomes(tmp_path: Path) -> None:
    verdict = run(tmp_path, RIGHT, files={"test_prog.py": FIXTURES})
    assert [test.outcome for test in verdict.tests] == [
        *("error", "error", "failed", "skipped", "failed", "skipped", "failed", "passed")
    ]
    assert verdict.text.startswith("3 failed, 2 error, 1 passed, 2 skipped\nERROR test_prog.py::test_setup\n")
    assert "\nAlso failing: test_teardown, test_both, test_strict, test_subtests_fail" in verdict.text


def test_another_interpreter_may_be_named(tmp_path: Path) -> None:
    job = make_job(tmp_path, RIGHT)
    assert SubprocessRunner().run(replace(job, command=(sys.executable, *job.command[1:]))).passed


@pytest.mark.parametrize("command", [("pytest",), ("python", "-m", "unittest"), ("no-such-python", "-m", "pytest")])
def test_a_command_that_cannot_be_run_is_a_usage_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=command[0]):
        SubprocessRunner().run(replace(make_job(tmp_path, RIGHT), command=command))


def test_a_process_that_never_starts_pytest_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="true ended with exit status 0 before pytest started"):
        SubprocessRunner().run(replace(make_job(tmp_path, RIGHT), command=("true", "-m", "pytest")))
