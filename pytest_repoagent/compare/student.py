"""Quantiles of Student's t distribution, by the finite series for whole degrees of freedom.

The one quantile that is needed here does not earn SciPy a place among the dependencies; the tests compare with it.
"""

from __future__ import annotations

import math

_HALVINGS = 80


def central_t(share: float, df: int) -> float:
    """The ``t`` with P(-t <= T <= t) = ``share`` for ``df`` degrees of freedom; 0.95 and 12 give 2.179."""
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _central_share(middle, df) < share:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan(low)


def _central_share(angle: float, df: int) -> float:
    """P(-t <= T <= t) at ``t = sqrt(df) * tan(angle)``: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = df % 2
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(odd, df - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
