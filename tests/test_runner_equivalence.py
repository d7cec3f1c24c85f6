"""The warm runner decides as the reference does, and says the same, whatever the program and the tests are like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from runner_corpus import LITTLE, RIGHT, TEST_FILE, WRONG, Case, difference, each, once, read_projects, report
from runner_programs import PROGRAMS
from runner_values import MANY

from pytest_repoagent.suites import Task, load_suite
from pytest_repoagent.testrun.base import Job, Limits, Reason, Runner, Verdict
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner
from pytest_repoagent.testrun.warm_runner import WarmRunner

ROOT = Path(__file__).resolve().parent.parent
ENDLESS = {"bitcount", "find_first_in_sorted", "sqrt"}
PROJECTS = {
    f"{path.stem}: {name}": cases
    for path in sorted((ROOT / "tests/runner_projects").iterdir())
    for name, cases in read_projects(path).items()
}


@pytest.fixture(scope="module")
def warm() -> Iterator[Runner]:
    runner = WarmRunner("auto")
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pristine files that the odd programs have in common, so that they share a task."""
    return tmp_path_factory.mktemp("shared")


def compare(reference: Verdict, verdict: Verdict, case: Case) -> None:
    found = difference(reference, verdict)
    assert not found.decision, report(found)
    assert case.text or not found.words, report(found)


@pytest.mark.parametrize("name", PROGRAMS)
def test_odd_programs(warm: Runner, shared: Path, name: str) -> None:
    case = PROGRAMS[name]
    job = case.job(shared)
    reference = SubprocessRunner().run(job)
    split, together = warm.run(job), warm.run(replace(job, editable=()))
    assert (split.judge, together.judge) == ("split", "in_process")
    compare(reference, split, case)
    compare(reference, together, case)


@dataclass(frozen=True)
class Otherwise:
    """A case that the runners decide differently, as they should.

    Attributes:
        reference: the reason of the subprocess runner's verdict.
        warm: the reason of the warm runner's.
        words: what the warm runner's text must say.
        together: the reason where the warm runner has tests and program share a process.
    """

    case: Case
    reference: Reason
    warm: Reason
    words: str
    together: Reason = "passed"


def kept_from(statement: str, words: str = "PermissionError", together: Reason = "failed") -> Otherwise:
    """The reference lets a right program do something in each call, the sandbox does not."""
    return Otherwise(Case(each(statement)), "passed", "failed", words, together)


FLOOD = "def f(x):\n    while True:\n        print('x' * 9999)\n"
FORGED = "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\ndef f(x):\n    return x\n"
EQUAL = "class E:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return E()\n"
OTHERWISE = {
    "forks": kept_from("import os\nif os.fork() == 0: os._exit(0)"),
    "starts a process": kept_from("import subprocess\nsubprocess.run(['true'])"),
    "opens a socket": kept_from("import socket\nsocket.socket().close()"),
    "reads what is none of its business": kept_from("open('/etc/passwd').read()", "Error"),
    "lowers its limits": kept_from(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))", "ValueError"
    ),
    "writes beside itself": kept_from("open('note', 'w').close()", together="passed"),
    "writes a temporary file": kept_from("import tempfile\ntempfile.mkdtemp()", "Error", "passed"),
    "reads the tests": kept_from("open('tests/test_prog.py').read()", "No such file", "passed"),
    "meets pytest": kept_from("import sys\nassert 'pytest' in sys.modules", "AssertionError", "passed"),
    "imports the tests": Otherwise(
        Case(once("import sys\nsys.path.append('tests')\nimport test_prog")),
        *("passed", "collection_error", "No module named 'test_prog'"),
    ),
    "reads its caller": Otherwise(
        Case("import sys\ndef f(x):\n    return 2 * sys._getframe(1).f_locals['x']\n"), "passed", "failed", "KeyError"
    ),
    "is equal to everything": Otherwise(Case(EQUAL), "passed", "failed", "assert"),
    "patches its judge": Otherwise(Case(FORGED), "passed", "failed", "assert"),
    "closes stdout": Otherwise(Case(each("import sys\nsys.stdout.close()")), "incomplete", "passed", "3", "incomplete"),
    "becomes a class": Otherwise(
        Case("class f(int):\n    def __new__(cls, x):\n        return 2 * x\n"),
        "passed",
        "collection_error",
        "Unservable",
    ),
    "adds to a star import": Otherwise(
        Case(
            RIGHT + "g = 1\n",
            "from programs.prog import *\n\n\ndef test():\n    assert f(3) == 6 and 'g' not in globals()\n",
            passed=1,
        ),
        *("failed", "passed", "1 passed", "failed"),
    ),
    "floods past capture": Otherwise(
        Case(FLOOD, args=("-s", TEST_FILE), limits=LITTLE),
        "output_limit",
        "output_limit",
        "1048576 bytes",
        "output_limit",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_the_runners_decide_differently(warm: Runner, tmp_path: Path, name: str) -> None:
    otherwise = OTHERWISE[name]
    job = otherwise.case.job(tmp_path)
    assert SubprocessRunner().run(job).reason == otherwise.reference
    verdict = warm.run(job)
    assert (verdict.reason, verdict.judge) == (otherwise.warm, "split")
    assert otherwise.words in verdict.text
    verdict = warm.run(replace(job, editable=()))
    assert (verdict.reason, verdict.judge) == (otherwise.together, "in_process")


PATCH = "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n"
LIST = (
    "class M(type(sys)):\n    @property\n    def __all__(self): raise AttributeError\n"
    "sys.modules[__name__].__class__ = M\n"
)
TO_ONE_PROCESS = {
    "by what a star import takes": (
        "from programs.prog import *\ndef test():\n    assert f(3) == 6\n",
        f"import sys\n{PATCH}{LIST}{WRONG}",
    ),
    "by a value too large to go back": (
        "from programs.prog import f\ndef test():\n    assert f(f(3)) == 12\n",
        PATCH + "def f(x):\n    return '\\x00' * 1_300_000\n",
    ),
    "by too many values to go back": (
        "from programs.prog import f\ndef test():\n    assert f([f(3)]) == 12\n",
        PATCH + "def f(x):\n    return [[] for _ in range(399_999)]\n",
    ),
    "by an exception that goes back": (
        "from programs.prog import f\ndef test():\n"
        "    try: f(3)\n    except ValueError as error: x = f(error)\n    assert f(3) == 6\n",
        PATCH + "def f(x):\n    raise ValueError\n",
    ),
    "by the type of a value": (
        "from programs.prog import f\ndef test():\n    f([f(3)])\n    assert f(3) == 6\n",
        PATCH + "class C: pass\ndef f(x):\n    return C\n",
    ),
}


@pytest.mark.parametrize("name", TO_ONE_PROCESS)
def test_a_program_cannot_bring_its_tests_into_its_process(warm: Runner, tmp_path: Path, name: str) -> None:
    tests, program = TO_ONE_PROCESS[name]
    verdict = warm.run(Case(program, tests, passed=1).job(tmp_path))
    assert (verdict.passed, verdict.judge) == (False, "split"), verdict.text


@pytest.mark.parametrize("name", MANY)
def test_values(warm: Runner, tmp_path: Path, name: str) -> None:
    job = MANY[name].job(tmp_path)
    verdict = warm.run(job)
    assert verdict.judge == "split"
    compare(SubprocessRunner().run(job), verdict, MANY[name])


@pytest.mark.parametrize("name", PROJECTS)
def test_odd_tests(warm: Runner, tmp_path: Path, name: str) -> None:
    for case in PROJECTS[name]:
        job = case.job(tmp_path)
        verdict = warm.run(job)
        assert case.judge in (None, verdict.judge)
        compare(SubprocessRunner().run(job), verdict, case)


def of_a_suite(task: Task, root: Path, folder: str, cpu_s: float) -> Job:
    program = f"python_programs/{task.name}.py"
    return Job(
        root=root,
        paths=tuple(task.files),
        candidate={program: (root / folder / f"{task.name}.py").read_text()},
        command=task.command,
        expected_passed=task.expected_tests.passed,
        expected_skipped=task.expected_tests.skipped,
        limits=Limits(cpu_s=cpu_s),
        editable=task.editable,
    )


def tasks(suite: str) -> dict[str, Task]:
    return {task.name: task for task in load_suite(ROOT / "eval/suites" / suite).tasks}


@pytest.mark.parametrize("folder", ["correct_python_programs", "python_programs"])
@pytest.mark.parametrize("name", MINIBUGS := tasks("minibugs_master.json"))
def test_minibugs(warm: Runner, name: str, folder: str) -> None:
    job = of_a_suite(MINIBUGS[name], ROOT / "eval/minibugs", folder, cpu_s=3)
    verdict = warm.run(job)
    assert (verdict.passed, verdict.judge) == (folder != "python_programs", "split")
    compare(SubprocessRunner().run(job), verdict, Case(""))


@pytest.mark.skipif("QUIXBUGS_ROOT" not in os.environ, reason="QUIXBUGS_ROOT names no QuixBugs checkout")
@pytest.mark.parametrize("folder", ["correct_python_programs", "python_programs"])
@pytest.mark.parametrize("name", QUIXBUGS := tasks("quixbugs_master.json"))
def test_quixbugs(warm: Runner, name: str, folder: str) -> None:
    root = Path(os.environ["QUIXBUGS_ROOT"])
    job = of_a_suite(QUIXBUGS[name], root, folder, cpu_s=2 if name in ENDLESS else 15)
    verdict = warm.run(job)
    assert (verdict.passed, verdict.judge) == (folder != "python_programs", "split")
    compare(SubprocessRunner().run(job), verdict, Case(""))
