"""Numbers of a comparison as people read them; the same cells make the text table and the Markdown one."""

from __future__ import annotations

from pytest_repoagent.compare.comparison import Comparison, Row, rollouts_each
from pytest_repoagent.compare.inference import Interval
from pytest_repoagent.compare.metrics import Metric

COLUMNS = ("metric", "A", "B", "B - A", "95 % interval", "p", "Holm p", "detectable", "tasks", "verdict")
EXPLANATION = (
    "Unit: the task. A and B: mean of the task means, with its own 95 % interval. p: sign-flip test on the tasks' "
    "differences. Holm p: adjusted for all primary metrics shown. Detectable: the true difference that a t test of so "
    "many tasks and rollouts would show with 80 % chance, before any adjustment; - where none could be shown. "
    "Amounts are per rollout. Metrics without a verdict are exploratory."
)


def row_cells(row: Row) -> list[str]:
    """The cells under ``COLUMNS``; ``-`` where there is nothing to say."""
    metric, effect = row.metric, row.effect
    if effect is None:
        return [metric.name, *["-"] * 7, "0", "-"]
    return [
        metric.name,
        _level(metric, row.a, row.a_interval),
        _level(metric, row.b, row.b_interval),
        _difference(metric, effect.mean),
        _interval(metric, effect.interval),
        _p(effect.p),
        "-" if row.adjusted_p is None else _p(row.adjusted_p),
        "-" if effect.detectable is None else _difference(metric, effect.detectable).lstrip("+"),
        f"{row.tasks}",
        row.verdict or "-",
    ]


def headline(comparison: Comparison) -> list[str]:
    """Which sides are compared, on how much."""
    suite = comparison.b.identity.suite or "unknown suite"
    lines = []
    for letter, arm in (("A", comparison.a), ("B", comparison.b)):
        runs = ", ".join(arm.identity.runs) or "a baseline file"
        each = rollouts_each(arm, comparison.tasks)
        lines.append(f"{letter}: {arm.name} = {arm.identity.model}, rollouts of each task {each} ({runs})")
    return [*lines, f"{suite}: {len(comparison.tasks)} task(s) in both"]


def _level(metric: Metric, value: float | None, interval: Interval | None) -> str:
    assert value is not None
    if metric.kind == "amount":
        return _amount(value)
    shown = f"{100 * value:.1f} %"
    return shown if interval is None else f"{shown} [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"


def _difference(metric: Metric, value: float) -> str:
    return f"{100 * value:+.1f} pts" if metric.kind != "amount" else _amount(value, "+")


def _interval(metric: Metric, interval: Interval | None) -> str:
    if interval is None:
        return "-"
    low, high = (f"{100 * end:+.1f}" if metric.kind != "amount" else _amount(end, "+") for end in interval)
    return f"{low} to {high}"


def _amount(value: float, sign: str = "") -> str:
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.3g}"


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 0.0001 else "<0.0001"
