"""What is compared: one number per task and metric, from the task's rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_repoagent.compare.inference import mean, pass_at_k


@dataclass(frozen=True)
class Metric:
    """One row of a comparison.

    Attributes:
        column: the column of ``rollout_values.sql`` that it is made of.
        better: 1 where more is better, -1 where less is, 0 where neither.
        kind: ``rate`` of yes-or-no rollouts, ``share`` between 0 and 1, or ``amount``.
        primary: in the family of metrics that a claim is made about.
        k: for pass@k.
        both: only rollouts that have the value on both sides, paired by task and seed.
    """

    name: str
    column: str
    better: Literal[-1, 0, 1]
    kind: Literal["rate", "share", "amount"]
    primary: bool = False
    k: int | None = None
    both: bool = False


PRIMARY = (
    Metric("strict_valid", "strict_valid", 1, "share", primary=True),
    Metric("loop_rate", "loop_rate", -1, "rate", primary=True),
    Metric("reached_write", "reached_write", 1, "rate", primary=True),
    Metric("pass_rate", "pass_rate", 1, "rate", primary=True),
)
EXPLORATORY = (
    Metric("lenient_valid", "lenient_valid", 1, "share"),
    Metric("executed_ok", "executed_ok", 1, "share"),
    Metric("parse_errors", "parse_errors", -1, "amount"),
    Metric("loop_detections", "loop_detections", -1, "amount"),
    Metric("steps", "steps", 0, "amount"),
    Metric("steps, both finished", "finished_steps", 0, "amount", both=True),
    Metric("tokens", "tokens", -1, "amount"),
    Metric("cost_usd", "cost_usd", -1, "amount"),
)

OfTask = Mapping[str, Sequence[float | None]]
"""Column -> a value per rollout of one task."""


def metrics_for(rollouts: int) -> tuple[Metric, ...]:
    """All metrics, with pass@2, pass@4, ... up to ``rollouts`` judged ones of every task."""
    ks = [2**n for n in range(1, rollouts.bit_length()) if 2**n <= rollouts]
    return PRIMARY + tuple(Metric(f"pass@{k}", "pass_rate", 1, "share", k=k) for k in ks) + EXPLORATORY


def task_values(metric: Metric, a: OfTask, b: OfTask) -> tuple[tuple[float, int], tuple[float, int]] | None:
    """A task's value on each side with the number of rollouts behind it; None where a side has none."""
    if metric.both:
        pairs = _paired(metric.column, a, b)
        known_a, known_b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        known_a, known_b = known(metric.column, a), known(metric.column, b)
    if len(known_a) < (metric.k or 1) or len(known_b) < (metric.k or 1):
        return None
    return (_value(metric, known_a), len(known_a)), (_value(metric, known_b), len(known_b))


def known(column: str, of_task: OfTask) -> list[float]:
    """The values of the rollouts that have one."""
    return [value for value in of_task[column] if value is not None]


def _value(metric: Metric, values: Sequence[float]) -> float:
    if metric.k is not None:
        return pass_at_k(len(values), round(sum(values)), metric.k)
    return mean(values)


def _paired(column: str, a: OfTask, b: OfTask) -> list[tuple[float, float]]:
    theirs = dict(_numbered(column, b))
    pairs = [(value, theirs.get(key)) for key, value in _numbered(column, a)]
    return [(mine, other) for mine, other in pairs if mine is not None and other is not None]


def _numbered(column: str, of_task: OfTask) -> list[tuple[tuple[float | None, int], float | None]]:
    """Values by seed, and by how often the seed was there before: pooled runs may repeat seeds."""
    times: Counter[float | None] = Counter()
    found = []
    for seed, value in zip(of_task["seed"], of_task[column], strict=True):
        found.append(((seed, times[seed]), value))
        times[seed] += 1
    return found
