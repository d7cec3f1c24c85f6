"""Which of the mutants that would do become tasks: no two alike, the mix of symptoms of real bugs, variety."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, zip_longest

from pytest_repoagent.mutation.candidates import Candidate
from pytest_repoagent.mutation.trial import Trial
from pytest_repoagent.suite_fields import Symptom

PROFILE: Mapping[Symptom, Fraction] = {
    "wrong_answer": Fraction(70, 100),
    "crash": Fraction(22, 100),
    "timeout": Fraction(8, 100),
}
"""How the forty bugs of QuixBugs fail."""


@dataclass(frozen=True)
class Mutant:
    """A candidate and what its tests showed.

    Attributes:
        parent: the id of the task whose corrected program it is.
        candidate: the bug.
        trial: what the tests showed.
    """

    parent: str
    candidate: Candidate
    trial: Trial


def unlike(mutants: Sequence[Mutant], known_lines: Iterable[int], known: Trial, seed: int) -> list[Mutant]:
    """One program's mutants in the order of ``seed``, without those that behave like an earlier one in the same line.

    The program's own known bug is there before them. That two run forever does not make them alike.

    Args:
        mutants: of one program.
        known_lines: where its known bug is.
        known: what the tests show of that.
        seed: of the order.
    """
    seen = {(line, known.signature) for line in known_lines}
    kept = []
    for mutant in _shuffled(mutants, seed):
        key = mutant.candidate.line, mutant.trial.signature
        if key not in seen or mutant.trial.symptom == "timeout":
            seen.add(key)
            kept.append(mutant)
    return kept


def choose(programs: Sequence[Sequence[Mutant]], per_program: int) -> list[Mutant]:
    """The mutants that give wrong answers, and as many that crash or run on as the profile wants beside them.

    Within a program operators take turns, and programs do where there is more of a symptom than its share; so the
    first mutant of each is the likeliest to stay.

    Args:
        programs: the mutants of each program, in order of preference.
        per_program: bound on each; wrong answers leave their share of it to the others.
    """
    most = round(per_program * PROFILE["wrong_answer"])
    chosen = _deal(_of(mutants, "wrong_answer")[:most] for mutants in programs)
    total = len(chosen) / PROFILE["wrong_answer"]
    for symptom in ("timeout", "crash"):
        taken = Counter(mutant.parent for mutant in chosen)
        rows = [_of(mutants, symptom)[: per_program - taken[mutants[0].parent]] for mutants in programs if mutants]
        chosen += _deal(rows)[: round(total * PROFILE[symptom])]
    return chosen


def _of(mutants: Iterable[Mutant], symptom: Symptom) -> list[Mutant]:
    """Those of a symptom, one of each operator, then another of each that has more, and so on."""
    groups: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        if mutant.trial.symptom == symptom:
            groups.setdefault(mutant.candidate.operator.name, []).append(mutant)
    return _deal(groups.values())


def _shuffled(mutants: Iterable[Mutant], seed: int) -> list[Mutant]:
    def rank(mutant: Mutant) -> bytes:
        where = f"{seed}\0{mutant.parent}\0{mutant.candidate.line}\0{mutant.candidate.new}"
        return hashlib.sha256(where.encode()).digest()

    return sorted(mutants, key=rank)


def _deal(rows: Iterable[Sequence[Mutant]]) -> list[Mutant]:
    """The first of each row, then the second of each that has one, and so on."""
    return [mutant for mutant in chain.from_iterable(zip_longest(*rows)) if mutant is not None]
