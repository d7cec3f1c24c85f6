"""What test runners are compared by: one candidate with its tests, and how two verdicts differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_repoagent.testrun.base import Job, Judge, Limits, Verdict

PROGRAM = "programs/prog.py"
TEST_FILE = "tests/test_prog.py"
RIGHT = "def f(x):\n    return 2 * x\n"
WRONG = "def f(x):\n    return 2 + x\n"
BODY = "    return 2 * x\n"
TESTS = """\
import pytest
from programs.prog import f


@pytest.mark.parametrize("x", [1, 2, 3])
def test_f(x):
    assert f(x) == 2 * x
"""
LIMITS = Limits(cpu_s=5, memory_bytes=512 << 20)
SHORT = Limits(cpu_s=1, memory_bytes=512 << 20)
NARROW = Limits(cpu_s=5, memory_bytes=200 << 20)
LITTLE = Limits(cpu_s=5, memory_bytes=512 << 20, file_bytes=1 << 20, output_bytes=1 << 20)


JUDGES: dict[str, Judge | None] = {"split": "split", "in_process": "in_process", "any": None}


@dataclass(frozen=True)
class Case:
    """One candidate to judge.

    Attributes:
        program: its text of ``PROGRAM``, or of each file it writes.
        tests: the text of ``TEST_FILE``, or of each pristine file besides the program.
        passed: how many tests must pass; also the proof that a case tests what it means to.
        skipped: how many must be skipped.
        pristine: the text of ``PROGRAM`` before the candidate wrote it.
        args: pytest's arguments.
        limits: the bounds.
        judge: who must judge in the warm runner; None where either may.
        text: why the runners' words may differ although they agree; empty where they may not.
    """

    program: str | Mapping[str, str]
    tests: str | Mapping[str, str] = TESTS
    passed: int = 3
    skipped: int = 0
    pristine: str | Mapping[str, str] = WRONG
    args: tuple[str, ...] = (TEST_FILE,)
    limits: Limits = LIMITS
    judge: Judge | None = "split"
    text: str = ""

    def job(self, root: Path, editable: tuple[str, ...] = ("programs/",)) -> Job:
        """Write the pristine files below ``root``."""
        pristine = {**_files(self.pristine, PROGRAM), **_files(self.tests, TEST_FILE)}
        for name, text in pristine.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return Job(
            root=root,
            paths=tuple(pristine),
            candidate=_files(self.program, PROGRAM),
            command=("python", "-m", "pytest", *self.args),
            expected_passed=self.passed,
            expected_skipped=self.skipped,
            limits=self.limits,
            editable=editable,
        )


def _files(value: str | Mapping[str, str], path: str) -> Mapping[str, str]:
    return {path: value} if isinstance(value, str) else value


@dataclass(frozen=True)
class Difference:
    """What two verdicts on one job say differently: the decision, and the words."""

    decision: dict[str, tuple[object, object]] = field(default_factory=dict)
    words: dict[str, tuple[str, str]] = field(default_factory=dict)


def difference(reference: Verdict, other: Verdict) -> Difference:
    """Compare two verdicts in all but who judged, how, and how long it took."""
    decisions = [
        {
            "passed": verdict.passed,
            "reason": verdict.reason,
            "counts": dict(verdict.counts),
            "tests": [(test.test_id, test.outcome) for test in verdict.tests],
        }
        for verdict in (reference, other)
    ]
    words = [
        {"text": verdict.text, **{test.test_id: test.detail for test in verdict.tests}}
        for verdict in (reference, other)
    ]
    return Difference(
        {key: (decisions[0][key], decisions[1][key]) for key in decisions[0] if decisions[0][key] != decisions[1][key]},
        {
            key: (words[0].get(key, ""), words[1].get(key, ""))
            for key in words[0] | words[1]
            if words[0].get(key) != words[1].get(key)
        },
    )


def report(found: Difference) -> str:
    """A difference for a human."""
    lines = [
        f"{key}\n  subprocess: {first!r}\n  warm:       {second!r}" for key, (first, second) in found.decision.items()
    ]
    lines += [
        f"{key}\n  subprocess: {first!r}\n  warm:       {second!r}" for key, (first, second) in found.words.items()
    ]
    return "\n".join(lines)


def read_projects(path: Path) -> Mapping[str, tuple[Case, ...]]:
    """The projects of a text file: each name with one case for its right program and one for each wrong one.

    A project starts with ``=== name`` and lines such as ``passed: 3`` or, where words differ, ``wrong 1: the reason``.
    Behind ``--- tests/test_prog.py`` stands that pristine file, behind ``--- right`` and ``--- wrong 1`` a program's
    text of ``PROGRAM``, behind ``--- right: programs/other.py`` one of its other files. The first wrong program is the
    pristine one.
    """
    return dict(_project(text) for text in path.read_text().split("\n=== "))


def _project(text: str) -> tuple[str, tuple[Case, ...]]:
    head, *sections = text.removeprefix("=== ").split("\n--- ")
    name, *lines = head.strip().splitlines()
    settings = dict(line.split(": ", 1) for line in lines)
    files: dict[str, str] = {}
    programs: dict[str, dict[str, str]] = {}
    for section in sections:
        title, _, content = section.partition("\n")
        content = content.rstrip("\n") + "\n" if content.strip() else ""
        label, _, path = title.partition(": ")
        if label.startswith(("right", "wrong")):
            programs.setdefault(label, {})[path or PROGRAM] = content
        else:
            files[title] = content
    right = Case(
        program=programs["right"],
        tests=files,
        passed=int(settings.pop("passed")),
        skipped=int(settings.pop("skipped", "0")),
        pristine=programs["wrong 1"],
        args=tuple(settings.pop("args", TEST_FILE).split()),
        judge=JUDGES[settings.pop("judge", "split")],
    )
    reasons = {label: settings.pop(label, "") for label in programs}
    assert not settings, settings
    return name, tuple(replace(right, program=programs[label], text=reasons[label]) for label in programs)


def once(statement: str) -> str:
    """A right program that does something when imported."""
    return f"{statement}\n{RIGHT}"


def each(statement: str) -> str:
    """A right program that does something in each call."""
    return "def f(x):\n    " + statement.replace("\n", "\n    ") + "\n" + BODY
