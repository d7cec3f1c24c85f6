"""What became of the candidates, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_repoagent.mutation.candidates import Candidate

COLUMNS: dict[str, tuple[str, ...]] = {
    "refused": ("known_program", "heldout_edit", "known_site"),
    "survive": ("survives",),
    "unusable": ("unbound_name", "no_import", "only_crashes", "spoils_the_run", "no_test_passes"),
    "alike": ("alike",),
    "surplus": ("surplus",),
    "unstable": ("unstable",),
    "tasks": ("task",),
}
"""Column -> the fates that it counts: those of :data:`~.gate.Refusal` and :data:`~.trial.Fate` except ``usable``, and

``no_test_passes``: every test fails, and other mutants of the program leave one passing. ``alike``: it fails as an
earlier mutant of the same line does. ``surplus``: more of a program or of a symptom than there shall be.
``unstable``: it did not fail in the same way again. ``task``: it became one.
"""


@dataclass
class Report:
    """How many candidates had which fate.

    Attributes:
        fates: (operator, fate) -> how many.
    """

    fates: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, candidates: Iterable[Candidate], fate: str) -> None:
        """Count candidates that had this fate."""
        self.fates.update((candidate.operator.name, fate) for candidate in candidates)

    def row(self, operator: str | None = None) -> list[int]:
        """How many candidates an operator made, or all did, and how many of them are in each of the columns."""
        some = Counter[str]()
        for (name, fate), n in self.fates.items():
            some[fate] += n if operator in (None, name) else 0
        return [some.total(), *(sum(some[fate] for fate in fates) for fates in COLUMNS.values())]
