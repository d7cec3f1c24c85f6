"""Runs the tests of a mutant and says what became of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pytest_repoagent.suite_fields import Symptom
from pytest_repoagent.testrun.base import Verdict

Fate = Literal["usable", "survives", "unbound_name", "no_import", "only_crashes", "spoils_the_run"]
"""What became of a mutant; all but the first are reasons to drop it.

``survives``: every test passes, so there is no bug to see. ``unbound_name``: a test fails for a name that is not
there, which any linter would tell. ``no_import``: the tests cannot even be collected. ``only_crashes``: every test
fails with an exception. ``spoils_the_run``: it ends the test process, floods it, or takes all the memory there is.
"""

_FIRST_ERROR = re.compile(r"^E +(.*)$", re.MULTILINE)
_EXCEPTION = re.compile(r"(?:\w+\.)*(\w+)(?::|$)")
_ANSWERS = ("AssertionError", "Failed")
_UNBOUND = ("NameError", "UnboundLocalError")


@dataclass(frozen=True)
class Trial:
    """What a mutant's tests showed.

    Attributes:
        fate: whether it is a task.
        symptom: how most of the failing tests fail.
        failing: how many of the tests that pass on the corrected program do not.
        passing: how many do.
        signature: how each failing test fails, in words; equal for mutants that behave alike.
    """

    fate: Fate
    symptom: Symptom
    failing: int
    passing: int
    signature: tuple[str, ...]


def judge(verdict: Verdict, expected_passed: int) -> Trial:
    """What a verdict says about a mutant."""
    errors = {t.test_id: _error(t.detail) for t in verdict.tests if t.outcome in ("failed", "error")}
    kinds = [_kind(error) for error in errors.values()]
    passing = verdict.counts.get("passed", 0)
    crashes = sum(kind not in _ANSWERS for kind in kinds)
    symptom: Symptom = "crash" if 2 * crashes > len(kinds) else "wrong_answer"
    if verdict.reason == "timed_out":
        symptom = "timeout"
    signature = (verdict.reason, *(f"{test_id}: {error}" for test_id, error in errors.items()), str(len(verdict.tests)))
    return Trial(_fate(verdict, kinds, passing), symptom, expected_passed - passing, passing, signature)


def _fate(verdict: Verdict, kinds: list[str], passing: int) -> Fate:
    if verdict.passed:
        return "survives"
    if verdict.reason == "collection_error":
        return "no_import"
    if any(kind in _UNBOUND for kind in kinds):
        return "unbound_name"
    if verdict.reason not in ("failed", "timed_out") or "MemoryError" in kinds:
        return "spoils_the_run"
    if verdict.reason == "failed" and not passing and not Counter(kinds).keys() & {*_ANSWERS}:
        return "only_crashes"
    return "usable"


def _error(detail: str) -> str:
    """The line that says what was wrong, and what follows it as long as it belongs to the same message."""
    return "\n".join(_FIRST_ERROR.findall(detail))


def _kind(error: str) -> str:
    """The exception's class; a bare ``assert`` has none."""
    named = _EXCEPTION.match(error)
    return named[1] if named and not error.startswith("assert ") else "AssertionError"
