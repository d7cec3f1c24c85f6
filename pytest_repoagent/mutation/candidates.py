"""Every one-line bug that the operators can put into a program."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_repoagent.models.edits.meaning import meaning
from pytest_repoagent.mutation import oddities
from pytest_repoagent.mutation.operators import OPERATORS, Operator
from pytest_repoagent.mutation.operators.original import Original, Splice
from pytest_repoagent.sources.mutants import lines_of


@dataclass(frozen=True)
class Candidate:
    """A program with a bug in one line.

    Attributes:
        operator: what made it.
        line: number of the line that differs, in the corrected program, from 1.
        new: what the line is instead, without its end; None where the line is missing.
        text: the whole program.
    """

    operator: Operator
    line: int
    new: str | None
    text: str


def candidates(source: str) -> Iterator[Candidate]:
    """The bugs to try in a corrected program: no two of the same meaning, and nothing that nobody would write."""
    original = Original(source)
    program = original.program
    seen = {meaning((program.tree,), program.kinds)}
    odd = oddities.count(program.tree)
    for operator in OPERATORS:
        for splices in operator.changes(original):
            candidate = _candidate(original, operator, splices)
            if candidate is None:
                continue
            tree = ast.parse(candidate.text)
            means = meaning((tree,), program.kinds)
            if means not in seen and oddities.count(tree) <= odd:
                seen.add(means)
                yield candidate


def _candidate(original: Original, operator: Operator, splices: tuple[Splice, ...]) -> Candidate | None:
    """The bug that splices make, or None where it is no valid Python or no change of one line."""
    source, text = original.program.source, original.spliced(*splices)
    edit = line_edit(source, text)
    if edit is None or not _compiles(text):
        return None
    return Candidate(operator, *edit, text)


def line_edit(before: str, after: str) -> tuple[int, str | None] | None:
    """The number of the one line that differs and what it becomes, None for nothing; None where it is not one line."""
    old, new = lines_of(before), lines_of(after)
    at = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(new))
    if len(new) == len(old) and at < len(old) and old[at + 1 :] == new[at + 1 :]:
        return at + 1, new[at].rstrip("\r\n")
    if len(new) == len(old) - 1 and old[at + 1 :] == new[at:]:
        return at + 1, None
    return None


def _compiles(text: str) -> bool:
    """Whether Python takes the text without a complaint: a warning would give the bug away."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compile(text, "<candidate>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, Warning):
            return False
    return True
