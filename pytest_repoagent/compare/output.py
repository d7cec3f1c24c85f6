"""A comparison as text, as Markdown for a comment, and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pytest_repoagent.compare.arms import Arm
from pytest_repoagent.compare.cells import COLUMNS, EXPLANATION, headline, row_cells
from pytest_repoagent.compare.comparison import Comparison, Row


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Tables for a terminal; lines are as long as they need to be."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    text = io.StringIO()
    console = Console(file=text, width=1000, color_system=None, highlight=False)
    for comparison in comparisons:
        for line in [*headline(comparison), *_marked(comparison)]:
            console.print(Text(line))
        table = Table(*(Column(name, no_wrap=True) for name in COLUMNS), box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for row in comparison.rows:
            table.add_row(*map(Text, row_cells(row)))
        console.print(table)
        console.print()
    console.print(Text(EXPLANATION))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """The same for a comment on a change."""
    lines: list[str] = []
    for comparison in comparisons:
        lines += [f"**{_escaped(comparison.b.name)}** compared with **{_escaped(comparison.a.name)}**", ""]
        lines += [f"- {_escaped(line)}" for line in [*headline(comparison), *_marked(comparison)]]
        lines += ["", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        lines += [_line(row_cells(row)) for row in comparison.rows]
        lines.append("")
    return "\n".join([*lines, EXPLANATION])


def as_json(comparisons: Sequence[Comparison]) -> str:
    """The same for programs: shares between 0 and 1, null where there is nothing to say."""
    found = [
        {
            "a": _arm(comparison.a),
            "b": _arm(comparison.b),
            "tasks": list(comparison.tasks),
            "warnings": list(comparison.warnings),
            "metrics": {row.metric.name: _row(row) for row in comparison.rows},
        }
        for comparison in comparisons
    ]
    return json.dumps({"schema": 1, "comparisons": found}, indent=1)


def _marked(comparison: Comparison) -> list[str]:
    return [f"WARNING: {warning}" for warning in comparison.warnings]


def _escaped(text: str) -> str:
    return "".join(f"&#{ord(letter)};" if letter in "\\`*_[]<>|@#&" else letter for letter in " ".join(text.split()))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _arm(arm: Arm) -> dict[str, Any]:
    rollouts = {task: len(of_task["seed"]) for task, of_task in arm.tasks.items()}
    return {
        "name": arm.name,
        "identity": arm.identity.model_dump(mode="json"),
        "rollouts": rollouts,
        "spoiled": arm.spoiled,
    }


def _row(row: Row) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(row).items() if name != "metric"}
    return {"primary": row.metric.primary, **fields}
