"""A 95 % interval for a mean over tasks.

The unit is the task: rollouts of one task are alike, so the tasks' means are what varies independently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

_TAIL = 0.025


@dataclass(frozen=True)
class Interval:
    """A mean over ``tasks`` tasks, between ``low`` and ``high``; both are None where the tasks show no spread."""

    mean: float
    low: float | None
    high: float | None
    tasks: int


def of_rates(means: Sequence[float]) -> Interval | None:
    """The t interval of tasks' mean rates, kept within 0 and 1; None without tasks.

    Where every task has 0, or every one 1, there is no spread to go by: the rule of three on tasks (3/T).
    """
    if not means:
        return None
    count, mean = len(means), fmean(means)
    if count > 1 and max(means) > min(means):
        reach = t_quantile(count - 1) * stdev(means) / math.sqrt(count)
    elif count > 1 and means[0] in (0, 1):
        reach = 3 / count
    else:
        return Interval(mean, None, None, count)
    return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach), count)


def t_quantile(freedom: int) -> float:
    """Student's t at 0.975 with ``freedom`` degrees of freedom, by bisection of its distribution function."""
    low, high = 0.0, 16.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(middle, freedom) > _TAIL else (low, middle)
    return low


def _beyond(t: float, freedom: int) -> float:
    """P(T > t): the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if freedom == 1:
        inside = 2 * angle / math.pi
    elif odd:
        inside = 2 / math.pi * (angle + sine * total)
    else:
        inside = sine * total
    return (1 - inside) / 2
