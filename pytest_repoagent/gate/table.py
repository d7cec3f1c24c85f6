"""The gate's findings as text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from pytest_repoagent.gate.judge import Finding
from pytest_repoagent.gate.metrics import Metric

COLUMNS = ("model", "rule", "baseline", "now", "limit", "p", "verdict")


def lines(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    """A table with a row per model and rule."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(name, no_wrap=True) for name in COLUMNS), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for model, found in findings.items():
        for finding in found:
            table.add_row(*map(Text, (model, *_cells(finding))))
    text = io.StringIO()
    Console(file=text, width=1000, color_system=None).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


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
