"""Arms compared with the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_repoagent.compare.arms import Arm, conflicts
from pytest_repoagent.compare.inference import (
    CONFIDENCE,
    Effect,
    Interval,
    effect,
    holm,
    least_p,
    mean,
    rate_interval,
    t_interval,
)
from pytest_repoagent.compare.metrics import PRIMARY, Metric, known, metrics_for, task_values
from pytest_repoagent.errors import UsageError

ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True)
class Row:
    """One metric of one comparison, over the tasks that have it on both sides.

    Attributes:
        tasks: how many those are; the other fields are None where there are none.
        a, b: the mean of the task means of each side.
        a_interval, b_interval: 95 %, of each side alone; None for amounts and where the values do not vary.
        effect: of the differences, ``b - a``.
        adjusted_p: Holm's, for a primary metric.
        verdict: ``better``, ``worse`` or ``no difference shown``, for a primary metric: a difference is shown where
            ``adjusted_p`` is at most 0.05 and the interval, if there is one, leaves out 0.
    """

    metric: Metric
    tasks: int
    a: float | None = None
    b: float | None = None
    a_interval: Interval | None = None
    b_interval: Interval | None = None
    effect: Effect | None = None
    adjusted_p: float | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Comparison:
    """One arm against the reference.

    Attributes:
        tasks: that both have.
        warnings: what a reader must know before the numbers, most serious first.
    """

    a: Arm
    b: Arm
    tasks: tuple[str, ...]
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]


def compare(arms: Sequence[Arm], anyway: bool = False) -> list[Comparison]:
    """Compare every arm with the first; Holm's family is the primary metrics of all the comparisons.

    Raises:
        UsageError: there are less than two arms, two have rollouts in common or no task, or (unless ``anyway``, which
            makes warnings of it) they were made under different conditions.
    """
    if len(arms) < 2:
        raise UsageError("one set of rollouts is nothing to compare: name two or more")
    family = len(PRIMARY) * (len(arms) - 1)
    found = [_compare(arms[0], arm, anyway, family) for arm in arms[1:]]
    ps = [row.effect.p if row.effect else 1.0 for one in found for row in one.rows if row.metric.primary]
    adjusted = iter(holm(ps))
    return [replace(one, rows=tuple(_judged(row, adjusted, family) for row in one.rows)) for one in found]


def check_conditions(a: Arm, b: Arm) -> None:
    """Refuse arms that were made under different conditions.

    Raises:
        UsageError: says which.
    """
    differing = conflicts(b.identity, a.identity)
    if differing:
        raise UsageError(
            f"{b.name} was not made as {a.name} was ({'; '.join(differing)}), so that a difference may not be the "
            f"model's; compare runs of one suite and one set of settings, or add --anyway to `repoagent compare`"
        )


def _compare(a: Arm, b: Arm, anyway: bool, family: int) -> Comparison:
    _check_apart(a, b)
    if not anyway:
        check_conditions(a, b)
    tasks = tuple(sorted(set(a.tasks) & set(b.tasks)))
    if not tasks:
        raise UsageError(f"{a.name} and {b.name} have no task in common, so there is nothing to compare")
    judged = min(len(known("pass_rate", arm.tasks[task])) for arm in (a, b) for task in tasks)
    rows = tuple(_row(metric, a, b, tasks) for metric in metrics_for(judged))
    return Comparison(a, b, tasks, rows, tuple(_warnings(a, b, tasks, family)))


def _check_apart(a: Arm, b: Arm) -> None:
    shared = set(a.identity.runs) & set(b.identity.runs)
    if shared and a.identity.model == b.identity.model:
        raise UsageError(
            f"{a.name} and {b.name} both have the rollouts of {a.identity.model} in {', '.join(sorted(shared))}, "
            f"so they are no two sides; name them by their runs"
        )


def _row(metric: Metric, a: Arm, b: Arm, tasks: Sequence[str]) -> Row:
    pairs = [pair for task in tasks if (pair := task_values(metric, a.tasks[task], b.tasks[task])) is not None]
    if not pairs:
        return Row(metric, 0)
    (a_values, a_counts), (b_values, b_counts) = (tuple(zip(*side, strict=True)) for side in zip(*pairs, strict=True))
    return Row(
        metric,
        len(pairs),
        mean(a_values),
        mean(b_values),
        side_interval(metric, a_values, max(a_counts) == 1),
        side_interval(metric, b_values, max(b_counts) == 1),
        effect([theirs - ours for ours, theirs in zip(a_values, b_values, strict=True)]),
    )


def side_interval(metric: Metric, values: Sequence[float], one_each: bool) -> Interval | None:
    """The 95 % interval of one side alone, from its task means; a share's stays within 0 and 1, amounts have none."""
    if metric.kind == "amount":
        return None
    interval = rate_interval(values, one_each) if metric.kind == "rate" else t_interval(values)
    return interval and (max(0.0, interval[0]), min(1.0, interval[1]))


def _judged(row: Row, adjusted: Iterator[float], family: int) -> Row:
    """A primary row with its verdict; takes the next of the adjusted p values."""
    if not row.metric.primary:
        return row
    adjusted_p = next(adjusted)
    if row.effect is None:
        return row
    if family * least_p(row.tasks) > ALPHA:
        row = replace(row, effect=replace(row.effect, detectable=None))
    assert row.effect
    mean, interval = row.effect.mean, row.effect.interval
    shown = adjusted_p <= ALPHA and (interval is None or not interval[0] <= 0 <= interval[1])
    verdict = ("better" if mean * row.metric.better > 0 else "worse") if shown else "no difference shown"
    return replace(row, adjusted_p=adjusted_p, verdict=verdict)


def _warnings(a: Arm, b: Arm, tasks: Sequence[str], family: int) -> list[str]:
    found = [f"NOT THE SAME CONDITIONS: {difference}" for difference in conflicts(b.identity, a.identity)]
    for arm in (a, b):
        only = sorted(set(arm.tasks) - set(tasks))
        if only:
            some = ", ".join(only[:3]) + (", ..." if len(only) > 3 else "")
            found.append(f"{len(only)} tasks are only in {arm.name} and left out: {some}")
        if arm.spoiled:
            found.append(f"{arm.spoiled} rollouts of {arm.name} were spoiled by the provider or the machine: left out")
    ours, theirs = (rollouts_each(arm, tasks) for arm in (a, b))
    if ours != theirs:
        found.append(f"rollouts of each task differ: {ours} of {a.name}, {theirs} of {b.name}")
    least = least_p(len(tasks))
    if family * least > ALPHA:
        found.append(
            f"{len(tasks)} task(s) are too few to show a difference in one of {family} metrics: "
            f"the smallest possible p is {least:.2g}, {min(1.0, family * least):.2g} after Holm"
        )
    return found


def rollouts_each(arm: Arm, tasks: Sequence[str]) -> str:
    """How many rollouts of each task an arm has: ``8``, or ``6-8``."""
    counts = sorted({len(arm.tasks[task]["seed"]) for task in tasks})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
