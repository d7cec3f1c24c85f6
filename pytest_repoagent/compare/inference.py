"""The statistics of a paired comparison whose unit is the task; pure functions of numbers.

Rollouts of one task resemble each other, so tests that pool rollouts find differences that are not there: simulated at
13 tasks and 8 rollouts with nothing to find, McNemar's test on pooled rollouts claims one in 14 % of the runs and a
z test in 8 %, where 5 % were asked for. Everything here takes one number per task.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, stdev

from pytest_repoagent.compare.student import central_t

CONFIDENCE = 0.95
POWER = 0.8
ENUMERATED = 16
"""Tasks with a difference up to which all sign flips are enumerated: 2**16 of them."""
SAMPLES = 2**16 - 1
_BLOCK = 8
_ROUNDING = 1e-9

Interval = tuple[float, float]


@dataclass(frozen=True)
class Effect:
    """What the differences of the tasks say together.

    Attributes:
        mean: the mean difference.
        interval: its t interval at 95 %; None where the differences do not vary, so that they say nothing of it.
        p: two-sided, of the sign-flip test.
        detectable: the difference that this many tasks, varying as they did, show with a chance of 80 % (two-sided
            at 5 %, before any adjustment); None as ``interval``.
    """

    mean: float
    interval: Interval | None
    p: float
    detectable: float | None


def effect(differences: Sequence[float]) -> Effect:
    """The effect of one difference per task; at least one."""
    interval = t_interval(differences)
    detectable = None
    if interval is not None:
        df = len(differences) - 1
        detectable = (central_t(CONFIDENCE, df) + central_t(2 * POWER - 1, df)) * _standard_error(differences)
    return Effect(mean(differences), interval, sign_flip_p(differences), detectable)


def mean(values: Sequence[float]) -> float:
    """The mean, the same in whatever order the values come."""
    return math.fsum(values) / len(values)


def t_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean of independent values; None for a single one and where all are the same."""
    if len(values) < 2 or max(values) == min(values):
        return None
    centre, half = mean(values), central_t(CONFIDENCE, len(values) - 1) * _standard_error(values)
    return centre - half, centre + half


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


def sign_flip_p(differences: Sequence[float]) -> float:
    """How often a mean as far from 0 comes out when each task's difference has its sign by a fair coin; two-sided.

    Exact for up to ``ENUMERATED`` differences that are not 0, else from ``SAMPLES`` seeded draws, the observed signs
    counted as one of them (Phipson and Smyth, 2010), so that it is never 0 and the same on every call.
    """
    moved = [difference for difference in differences if difference]
    if len(moved) <= ENUMERATED:
        sums = _signed_sums(moved)
    else:
        draw = random.Random(0)
        blocks = [_signed_sums(moved[i : i + _BLOCK]) for i in range(0, len(moved), _BLOCK)]
        columns = [draw.choices(block, k=SAMPLES) for block in blocks]
        sums = [math.fsum(moved), *map(math.fsum, zip(*columns, strict=True))]
    least = abs(math.fsum(moved)) - _ROUNDING * math.fsum(map(abs, moved))
    return sum(abs(total) >= least for total in sums) / len(sums)


def _signed_sums(values: Sequence[float]) -> list[float]:
    """The sums under all 2**n choices of signs."""
    sums = [0.0]
    for value in values:
        sums = [total + value for total in sums] + [total - value for total in sums]
    return sums


def least_p(tasks: int) -> float:
    """The smallest p that the sign-flip test can give for so many tasks."""
    return max(2.0 ** (1 - tasks), 1 / (SAMPLES + 1))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values adjusted for being one of several (Holm, 1979), in the order given."""
    adjusted = [0.0] * len(ps)
    so_far = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        so_far = max(so_far, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = so_far
    return adjusted


def rate_interval(task_means: Sequence[float], one_each: bool) -> Interval | None:
    """The 95 % interval of a rate of yes-or-no rollouts: Wilson's where every task has one rollout (``one_each``).

    Otherwise rollouts of a task are not independent, and it is the t interval of the task means; where all rollouts
    agree it is the rule of three over tasks, (0, 3/T) or its mirror image.
    """
    if one_each:
        return wilson(round(math.fsum(task_means)), len(task_means))
    if max(task_means) == min(task_means) and task_means[0] in (0.0, 1.0):
        most = min(1.0, 3 / len(task_means))
        return (0.0, most) if task_means[0] == 0.0 else (1.0 - most, 1.0)
    return t_interval(task_means)


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % interval (1927) of the rate behind independent trials."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = z * math.sqrt(rate * (1 - rate) / trials + weight / trials / 4) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def pass_at_k(rollouts: int, passes: int, k: int) -> float:
    """The chance that one of ``k`` rollouts passes, unbiased (Chen et al., 2021); ``k`` is at most ``rollouts``."""
    return 1 - math.comb(rollouts - passes, k) / math.comb(rollouts, k)
