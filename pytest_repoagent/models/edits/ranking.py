"""The order in which candidates are tried, and how test results change it.

Every class of defect is as likely as any other: how often each occurs in a benchmark would tell of its held-out tasks
too. A class's chance is shared among its edits in proportion to their weights, times the static sign. Weights and
signs are judgement, checked on training tasks alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from heapq import nlargest

from pytest_repoagent.models.edits import logic, missing, names, numbers, signs, statements, values
from pytest_repoagent.models.edits.feedback import Feedback, commonest, fit
from pytest_repoagent.models.edits.meaning import meaning
from pytest_repoagent.models.edits.program import Program
from pytest_repoagent.models.edits.splice import Change, Edit, render

Operator = Callable[[Program], Iterator[Change]]

OPERATORS: tuple[Operator, ...] = (
    logic.comparison,
    logic.threshold,
    logic.null_guard,
    logic.bounds_guard,
    logic.connective,
    logic.constant_test,
    logic.missing_operand,
    logic.truth_value,
    logic.base_case,
    logic.guard,
    numbers.operator,
    numbers.off_by_one,
    numbers.slices,
    numbers.missing_arithmetic,
    names.variable,
    names.simple_value,
    names.copied_expression,
    names.exchange,
    names.exchange_names,
    names.turned_assignment,
    names.related_call,
    names.field,
    values.missing_call,
    values.limit,
    values.superfluous_call,
    values.other_iterable,
    values.joined,
    values.unjoined,
    values.literal,
    statements.assignment_operator,
    statements.call_for_assignment,
    statements.leave,
    statements.superfluous,
    statements.order,
    missing.missing_statement,
    missing.missing_return,
)

SPREAD = 5.0
"""Weight added to each class's total, so that a class with one far-fetched edit does not give it everything."""

MOST = 4_000
"""Candidates kept of a large program: far more than anyone tries."""

_MENDS, _BREAKS, _MENTIONED = 2.0, 0.8, 1.5
"""Factors of a line: an edit there mended all tests (less for fewer) or only broke some; the report mentions it."""


class Search:
    """The candidates for one program, the most promising first, each once.

    An edit after which fewer tests fail points at its line, one after which more do clears it (Moon et al., "Ask the
    mutants", ICST 2014). The original is never tested: the commonest report stands for its own.
    """

    def __init__(self, source: str) -> None:
        """Read the program and find the candidates.

        Raises:
            SyntaxError, ValueError, RecursionError, MemoryError: ``source`` is no Python.
        """
        self._program = Program(source)
        self._left = _chances(self._program)
        self._seen = {self._program.dump}
        self._tried: list[tuple[Change, Feedback]] = []
        self._last: Change | None = None

    def __iter__(self) -> Iterator[Edit]:
        return self

    def __next__(self) -> Edit:
        """The next candidate."""
        lines = self._line_factors()
        usual = commonest(feedback for _, feedback in self._tried)
        while self._left:
            at = max(range(len(self._left)), key=lambda i: self._promise(*self._left[i], lines, usual))
            change, _ = self._left.pop(at)
            rendered = render(self._program, change)
            if rendered is not None and rendered[1] not in self._seen:
                self._seen.add(rendered[1])
                self._last = change
                return rendered[0]
        raise StopIteration

    def learn(self, feedback: Feedback) -> None:
        """Take in what testing the last candidate showed."""
        if self._last is not None:
            self._tried.append((self._last, feedback))

    def _promise(self, change: Change, chance: float, lines: dict[int, float], usual: Feedback | None) -> float:
        factor = lines.get(change.target.lineno, 1.0)
        return chance * factor * (fit(self._program, change, usual.symptoms) if usual else 1.0)

    def _line_factors(self) -> dict[int, float]:
        usual = commonest(feedback for _, feedback in self._tried)
        if usual is None:
            return {}
        factors = dict.fromkeys(sorted(usual.lines), _MENTIONED)
        best: dict[int, float] = {}
        for change, feedback in self._tried:
            if usual.failing and feedback.failing is not None and feedback.failing != usual.failing:
                mended = 1 - feedback.failing / usual.failing
                best[change.target.lineno] = max(mended, best.get(change.target.lineno, mended))
        for line, mended in best.items():
            factors[line] = factors.get(line, 1.0) * (1 + _MENDS * mended if mended > 0 else _BREAKS)
        return factors


def _chances(program: Program) -> list[tuple[Change, float]]:
    """The likeliest candidates with their chances; one that several operators make has the sum of theirs."""
    totals: dict[str, float] = {}
    found = [change for operator in OPERATORS for change in operator(program) if change.weight > 0]
    for change in found:
        totals[change.group] = totals.get(change.group, 0.0) + change.weight

    def chance(change: Change) -> float:
        share = change.weight / (SPREAD + totals[change.group])
        return share * change.sign

    merged: dict[tuple[ast.AST, ast.stmt | None, str], tuple[Change, float]] = {}
    for change in nlargest(MOST, found, key=chance):
        key = change.target, change.drop, meaning(change.new, program.kinds)
        known, so_far = merged.get(key, (change, 0.0))
        merged[key] = min(known, change, key=_length), so_far + chance(change)
    targets = dict.fromkeys(target for target, *_ in merged)
    before = {target: meaning((target,), program.kinds) for target in targets}
    places = {target: signs.place(program, target) for target in targets}
    return [
        (change, sum_of_chances * places[target] * signs.familiarity(program, change))
        for (target, _, after), (change, sum_of_chances) in merged.items()
        if after != before[target]
    ]


def _length(change: Change) -> int:
    return sum(len(ast.dump(node)) for node in change.new)
