"""What a test report says, read from the text that the model is shown, and which edits it makes more likely."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pytest_repoagent.models.edits.program import Program
from pytest_repoagent.models.edits.splice import Change

_VERDICT = re.compile(r"^\[TESTS (PASS|FAIL)\]([^\n]*)", re.MULTILINE)
_COUNT = re.compile(r"(\d+) (?:failed|error)\b")
_TIMEOUT = re.compile(r"timed.?out", re.IGNORECASE)
_ERROR = re.compile(r"^E +(?:\w+\.)*(\w+)", re.MULTILINE)


class Symptom(StrEnum):
    """How code fails, as far as it says something about the cause."""

    TIMEOUT = "timeout"
    RECURSION = "recursion"
    POSITION = "position"
    KIND = "kind"


_SYMPTOMS = {
    "RecursionError": Symptom.RECURSION,
    "IndexError": Symptom.POSITION,
    "KeyError": Symptom.POSITION,
    "TypeError": Symptom.KIND,
    "AttributeError": Symptom.KIND,
    "NameError": Symptom.KIND,
    "UnboundLocalError": Symptom.KIND,
}


@dataclass(frozen=True)
class Feedback:
    """One test report.

    Attributes:
        passed: the tests pass.
        failing: how many tests fail; None where not every test was run, as after a timeout.
        symptoms: how they fail.
        lines: line numbers of the program that the report mentions.
    """

    passed: bool
    failing: int | None
    symptoms: frozenset[Symptom]
    lines: frozenset[int]


def read(text: str, path: str) -> Feedback | None:
    """What ``text`` reports on the program at ``path``; None where it holds no verdict."""
    verdict = _VERDICT.search(text)
    if verdict is None:
        return None
    report = text[verdict.start() :]
    counts = [int(number) for number in _COUNT.findall(verdict[2])]
    timed_out = bool(_TIMEOUT.search(verdict[2]))
    found = [Symptom.TIMEOUT] if timed_out else [_SYMPTOMS[n] for n in _ERROR.findall(report) if n in _SYMPTOMS]
    lines = re.findall(rf"(?<![\w.]){re.escape(path)}:(\d+)", report)
    return Feedback(
        passed=verdict[1] == "PASS",
        failing=sum(counts) if counts and not timed_out else None,
        symptoms=frozenset(found),
        lines=frozenset(int(line) for line in lines),
    )


def commonest(reports: Iterable[Feedback]) -> Feedback | None:
    """The report most often had, the earliest of equals: most edits change nothing, so it is that of the original."""
    every = list(reports)
    return max(every, key=every.count) if every else None


_LIKELY = {
    Symptom.POSITION: ("off_by_one", "slice", "comparison", "condition"),
    Symptom.KIND: ("call", "field", "method", "condition", "literal", "join", "variable"),
}


def fit(program: Program, change: Change, symptoms: frozenset[Symptom]) -> float:
    """How much more likely an edit is where the original fails like that."""
    factor = 1.0
    for symptom, groups in _LIKELY.items():
        if symptom in symptoms and change.group in groups:
            factor *= 1.5
    if Symptom.TIMEOUT in symptoms and _ends_loop(program, change.target):
        factor *= 2.0
    if Symptom.RECURSION in symptoms and _ends_recursion(program, change.target):
        factor *= 2.0
    return factor


def _ends_loop(program: Program, target: ast.AST) -> bool:
    return any(isinstance(outer, ast.While) for outer in program.around(target))


def _ends_recursion(program: Program, target: ast.AST) -> bool:
    """Whether the target decides if or with what a function calls itself."""
    for outer in program.around(target):
        if isinstance(outer, ast.Call) and program.is_recursive(outer):
            return True
        if isinstance(outer, ast.stmt):
            return isinstance(outer, ast.If)
    return False
