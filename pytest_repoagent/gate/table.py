"""The gate's findings as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_repoagent import table
from pytest_repoagent.gate.judge import Finding
from pytest_repoagent.gate.metrics import Metric

COLUMNS = ("model", "rule", "baseline", "now", "limit", "p", "verdict")


def lines(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    """A table with a row per model and rule."""
    return table.lines(COLUMNS, [(model, *_cells(finding)) for model, found in findings.items() for finding in found])


def number(metric: Metric, value: float) -> str:
    """A value of a metric: a share in percent, anything else with three digits or whole."""
    if metric.kind == "share":
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.3g}"


def _cells(finding: Finding) -> tuple[str, ...]:
    rule = finding.rule
    metric = rule.metric
    return (
        rule.text,
        "-" if finding.baseline is None else number(metric, finding.baseline),
        number(metric, finding.now),
        f"{rule.comparison} {number(metric, finding.limit)}",
        "-" if finding.p is None else f"{finding.p:.3g}",
        "kept" if finding.kept else "BROKEN",
    )
