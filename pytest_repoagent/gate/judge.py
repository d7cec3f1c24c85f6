"""Rules against the values of a run and of a baseline. Reads nothing, calls no model."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from pytest_repoagent.compare.inference import sign_flip_p
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


def check_judgeable(rule: Rule, tasks: int, baseline: TaskValues | None) -> None:
    """Refuse a rule that every run would keep, and one that no run could keep; nothing has run yet.

    Raises:
        UsageError: the rule is one of these, or its metric is not known of a task of the baseline.
    """
    worst, best = (0.0, 1.0) if rule.metric.higher_is_better else (1.0 if rule.metric.kind == "share" else inf, 0.0)
    limit = rule.limit(0.0)
    if rule.needs_baseline and baseline is not None:
        limit = rule.limit(_measured("the baseline", rule.metric, baseline, baseline))
    ends = [rule.within(value, limit) for value in (worst, best)]
    if all(ends):
        raise _pointless(rule, "broken: no run can be on the wrong side of its limit")
    if not any(ends):
        raise _pointless(rule, "kept: no run can be on the right side of its limit")
    if rule.p is not None and baseline is not None:
        losses = [_most(rule, before, worst) for before in task_means(rule.metric, baseline).values()]
        if (least := sign_flip_p(losses)) >= rule.p:
            able = sum(map(bool, losses))
            raise _pointless(
                rule, f"broken: only {able} of {tasks} tasks can get worse, which gives no p below {least:.3g}"
            )


def _most(rule: Rule, before: float, worst: float) -> float:
    """The most that a task can get worse by; of what is unbounded, as much for all."""
    return abs(worst - before) if rule.metric.kind == "share" else 1.0


def _pointless(rule: Rule, reason: str) -> UsageError:
    return UsageError(
        f"--fail-on={rule.text} could never be {reason}; take another amount, or another p or none after @"
    )


def incomplete(now: TaskValues, tasks: list[str], rollouts: int) -> str | None:
    """Why a run is not all there: tasks that have fewer than ``rollouts`` counted rollouts; None where it is."""
    short = [task for task in tasks if len(now.get(task, {}).get("parse_errors", ())) < rollouts]
    if not short:
        return None
    counted = sum(len(of_task["parse_errors"]) for of_task in now.values())
    some = ", ".join(short[:3]) + (", ..." if len(short) > 3 else "")
    return f"only {counted} of {len(tasks) * rollouts} rollouts completed and count, too few of {some}"
