"""The paired sign-flip test: could a difference of two sides be chance, when all that is known is their tasks?

Where the sides are alike, each task's difference is as likely to have come out with the other sign (Fisher, The Design
of Experiments, 1935, section 21). The p-value is the share of all choices of signs whose sum is at least as far from
zero as the one observed. Tasks are the unit, so repeats of one task do not pass for independent evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

ENUMERATED = 16
"""Up to so many tasks every choice of signs is looked at, and the p-value is exact."""

DRAWS = 10_000
"""Beyond that, so many random choices; the observed one counts as one more, so that p is never 0."""

_SLACK = 1e-9
"""Of the sum of the differences' sizes: sums that differ by less are equal but for rounding."""


def signflip_p(differences: Sequence[float], seed: int = 0) -> float:
    """The two-sided p-value of the paired differences of tasks, one each; 1.0 where there are none.

    ``seed`` is of the random choices beyond :data:`ENUMERATED` tasks.
    """
    least = abs(sum(differences)) - _SLACK * sum(map(abs, differences))
    if len(differences) <= ENUMERATED:
        sums = [0.0]
        for difference in differences:
            sums = [before + flipped for before in sums for flipped in (difference, -difference)]
        return sum(abs(total) >= least for total in sums) / len(sums)
    rng = Random(seed)
    hits = sum(abs(_flipped(differences, rng.getrandbits(len(differences)))) >= least for _ in range(DRAWS))
    return (hits + 1) / (DRAWS + 1)


def _flipped(differences: Sequence[float], signs: int) -> float:
    return sum(d if signs >> place & 1 else -d for place, d in enumerate(differences))
