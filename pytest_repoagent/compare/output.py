"""A comparison as text, as Markdown for a comment, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pytest_repoagent import table
from pytest_repoagent.compare.arms import Arm
from pytest_repoagent.compare.cells import COLUMNS, EXPLANATION, headline, row_cells
from pytest_repoagent.compare.comparison import Comparison, Row


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Tables for a terminal; lines are as long as they need to be."""
    lines: list[str] = []
    for comparison in comparisons:
        lines += [*headline(comparison), *_marked(comparison)]
        lines += [*table.lines(COLUMNS, map(row_cells, comparison.rows)), ""]
    return "\n".join([*lines, EXPLANATION])


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
