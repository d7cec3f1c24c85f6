"""The metrics that a rule may name, and how the values of rollouts become one number."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from pytest_repoagent.errors import UsageError
from pytest_repoagent.store.values import TaskValues

Kind = Literal["share", "total", "mean"]


@dataclass(frozen=True)
class Metric:
    """A metric of a set of rollouts.

    Attributes:
        name: as rules and baselines have it.
        kind: ``share`` (between 0 and 1) and ``mean`` weigh tasks equally: the mean over tasks of the mean over each
            one's rollouts. ``total`` is the sum over all rollouts.
        higher_is_better: which way is a loss.
        meaning: of a rollout's value.
    """

    name: str
    kind: Kind
    higher_is_better: bool
    meaning: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("strict_valid", "share", True, "replies that were exactly one action"),
        Metric("lenient_valid", "share", True, "replies that were, or that unambiguous repairs make one"),
        Metric("executed_ok", "share", True, "replies whose tool did its work, of those that were no final"),
        Metric("parse_errors", "total", False, "replies that were not exactly one action"),
        Metric("loop_detections", "total", False, "times the driver saw the agent go in circles"),
        Metric("loop_rate", "share", False, "rollouts with a loop detection"),
        Metric("reached_write", "share", True, "rollouts that wrote a file"),
        Metric("pass_rate", "share", True, "rollouts whose last test run passed"),
        Metric("steps", "mean", False, "replies of a rollout"),
        Metric("tokens", "mean", False, "prompt and completion tokens of a rollout"),
        Metric("cost_usd", "mean", False, "USD of a rollout"),
    )
}


def task_means(metric: Metric, values: TaskValues) -> dict[str, float]:
    """Each task's mean over those of its rollouts whose value is known.

    Raises:
        UsageError: a task has none.
    """
    means = {}
    for task_id, of_task in values.items():
        known = [value for value in of_task.get(metric.name, ()) if value is not None]
        if not known:
            raise UsageError(f"{metric.name} is not known of {task_id}")
        means[task_id] = fmean(known)
    return means


def measure(metric: Metric, values: TaskValues, rollouts: TaskValues) -> float:
    """The one number of a metric; a total is what as many rollouts of each task as ``rollouts`` has would come to.

    Raises:
        UsageError: the metric is not known of a task.
    """
    means = task_means(metric, values)
    if metric.kind != "total":
        return fmean(means.values())
    return sum(mean * len(rollouts[task_id][metric.name]) for task_id, mean in means.items())
