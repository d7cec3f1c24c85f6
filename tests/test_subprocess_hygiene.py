from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_repoagent.testrun.base import Job, Verdict
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

RIGHT = "def f(x):\n    return 2 * x\n"
WRONG = "def f(x):\n    return 2 + x\n"
COMMAND = ("python", "-m", "pytest", "-s", "test_prog.py")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs make their private folders; none may be left after a run."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Job:
    root = tmp_path / "root"
    root.mkdir()
    (root / "prog.py").write_text(WRONG)
    (root / "test_prog.py").write_text("from prog import f\ndef test_f():\n    assert f(3) == 6\n")
    return Job(root, ("prog.py", "test_prog.py"), {}, COMMAND, 1)


def run(job: Job, program: str) -> Verdict:
    return SubprocessRunner().run(replace(job, candidate={"prog.py": program}))


def assert_dies(pid: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "ZX":
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} is still alive")


def test_a_grandchild_that_holds_the_pipes_neither_stalls_nor_survives_the_run(tmp_path: Path, job: Job) -> None:
    pid = tmp_path / "pid"
    fork = f"import os, time\nif os.fork() == 0:\n    open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    wait = f"    time.sleep(3600)\nwhile not os.path.getsize({str(pid)!r}): pass\n"
    pid.touch()
    assert run(job, fork + wait + RIGHT).passed
    assert_dies(int(pid.read_text()))


HARMS = {
    "deletes": "import os, shutil\nshutil.rmtree(os.path.dirname(os.getcwd()))\n",
    "locks": """
import os
os.mkdir("locked")
open("locked/file", "w").close()
os.chmod("locked", 0)
os.chmod(".", 0o555)
""",
    "nests": """
import os
home = os.getcwd()
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
os.chdir(home)
""",
}


@pytest.mark.parametrize("harm", HARMS)
def test_whatever_a_test_does_to_its_folder_it_is_removed(job: Job, scratch: Path, harm: str) -> None:
    run(job, HARMS[harm] + RIGHT)
    assert not list(scratch.iterdir())


def test_no_secret_and_no_file_descriptor_of_the_driver_reaches_a_test(
    tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "very-secret")
    with (tmp_path / "open").open("w") as leak:
        os.set_inheritable(leak.fileno(), True)
        program = f"""
import glob, os
assert "very-secret" not in open("/proc/self/environ").read()
assert {leak.name!r} not in map(os.path.realpath, glob.glob("/proc/self/fd/*"))
assert os.environ["HOME"] == os.environ["TMPDIR"] != os.getcwd()
"""
        verdict = run(job, program + RIGHT)
    assert verdict.passed, verdict.text


def test_a_fix_of_the_same_length_in_the_same_second_is_judged_right(job: Job) -> None:
    bytecode = ["compileall", "-q", "--invalidation-mode", "unchecked-hash", str(job.root)]
    subprocess.run([sys.executable, "-m", *bytecode], check=True)
    stale = tuple(str(path.relative_to(job.root)) for path in job.root.glob("__pycache__/*.pyc"))
    assert stale
    job = replace(job, paths=job.paths + stale)
    assert [run(job, program).passed for program in [WRONG, RIGHT] * 3] == [False, True] * 3


def test_runs_in_threads_do_not_disturb_each_other(job: Job, scratch: Path) -> None:
    jobs = [replace(job, candidate={"prog.py": program}) for program in [RIGHT, WRONG] * 3]
    with ThreadPoolExecutor(3) as pool:
        assert [verdict.passed for verdict in pool.map(SubprocessRunner().run, jobs)] == [True, False] * 3
    assert not list(scratch.iterdir())


DRIVER = """
import sys, tempfile
from pathlib import Path
from pytest_repoagent.testrun.base import Job
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner
root, tempfile.tempdir = sys.argv[1:]
SubprocessRunner().run(Job(Path(root), ("prog.py", "test_prog.py"), {}, ("python", "-m", "pytest"), 1))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_driver_leaves_no_test_running(
    tmp_path: Path, job: Job, scratch: Path, sent: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    fork = f"import os, time\nchild = os.fork()\nprint(child, os.getpid(), file=open({str(pids)!r}, 'a'))\n"
    (job.root / "prog.py").write_text(fork + "time.sleep(3600)\n")
    arguments = [sys.executable, "-c", DRIVER, str(job.root), str(scratch)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as driver:
        while pids.read_text().count("\n") < 2:
            assert driver.poll() is None
            time.sleep(0.01)
        child, parent = max(tuple(map(int, line.split())) for line in pids.read_text().splitlines())
        driver.send_signal(sent)
        errors = driver.communicate()[1]
    assert_dies(parent)
    if sent == signal.SIGINT:
        assert_dies(child)
        assert b"KeyboardInterrupt" in errors
        assert not list(scratch.iterdir())
    else:
        os.kill(child, signal.SIGKILL)
