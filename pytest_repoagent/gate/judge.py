"""Rules against the values of a run and of a baseline. Reads nothing, calls no model."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repoagent.compare.inference import least_p, sign_flip_p
from pytest_repoagent.errors import UsageError
from pytest_repoagent.gate.metrics import Metric, measure, task_means
from pytest_repoagent.gate.rules import Rule
from pytest_repoagent.store.values import TaskValues


@dataclass(frozen=True)
class Finding:
    """What came of a rule.

    ``baseline`` and ``p`` are None where the rule asks for none; a baseline's total is scaled to the run's rollouts.
    """

    rule: Rule
    baseline: float | None
    now: float
    limit: float
    p: float | None
    kept: bool


def judge(rule: Rule, now: TaskValues, baseline: TaskValues | None) -> Finding:
    """Judge a rule; ``baseline`` has the same tasks as ``now``, and may be None for an absolute rule.

    Raises:
        UsageError: the metric is not known of a task, on one side or the other.
    """
    metric = rule.metric
    value = _measured("this run", metric, now, now)
    if baseline is None or not rule.needs_baseline:
        limit = rule.limit(value)
        return Finding(rule, None, value, limit, None, rule.within(value, limit))
    before = _measured("the baseline", metric, baseline, now)
    limit = rule.limit(before)
    within = rule.within(value, limit)
    if rule.p is None:
        return Finding(rule, before, value, limit, None, within)
    ours, theirs = task_means(metric, now), task_means(metric, baseline)
    p = sign_flip_p([ours[task_id] - theirs[task_id] for task_id in sorted(ours)])
    return Finding(rule, before, value, limit, p, within or p >= rule.p)


def _measured(side: str, metric: Metric, values: TaskValues, rollouts: TaskValues) -> float:
    try:
        return measure(metric, values, rollouts)
    except UsageError as error:
        raise UsageError(f"{error} in {side}") from None


def check_breakable(rule: Rule, tasks: int) -> None:
    """Refuse a rule that no loss could break.

    Raises:
        UsageError: the rule asks for a p-value that so few tasks never give.
    """
    if rule.p is not None and (least := least_p(tasks)) >= rule.p:
        raise UsageError(
            f"--fail-on={rule.text} could never be broken: {tasks} tasks give no p below {least:.3g}, "
            f"so take a larger p or leave @p out"
        )


def incomplete(now: TaskValues, tasks: list[str], rollouts: int) -> str | None:
    """Why a run is not all there: tasks that have fewer than ``rollouts`` counted rollouts; None where it is."""
    short = [task for task in tasks if len(now.get(task, {}).get("parse_errors", ())) < rollouts]
    if not short:
        return None
    counted = sum(len(of_task["parse_errors"]) for of_task in now.values())
    some = ", ".join(short[:3]) + (", ..." if len(short) > 3 else "")
    return f"only {counted} of {len(tasks) * rollouts} rollouts completed and count, too few of {some}"
