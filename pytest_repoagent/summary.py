"""What a run says at its end: a table with a row per model, and the report file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_repoagent import table
from pytest_repoagent.fold import read_finished
from pytest_repoagent.store.reader import run_totals

_CODES_SHOWN = 4
COLUMNS = ("model", "rollouts", "strict", "parse errors", "loops", "wrote", "steps", "pass", "tokens", "cost", "wall")


def summarise(store: Path, run_id: str) -> list[str]:
    """The table as lines of text, from what the store has of the run."""
    return table.lines(COLUMNS, map(_cells, run_totals(store, run_id)))


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    spoiled = row["rollouts"] - row["counted"]
    tokens = [row["prompt_tokens"], row["completion_tokens"]]
    return (
        row["model"],
        f"{row['rollouts']}" + (f" ({spoiled} not counted)" if spoiled else ""),
        _percent(row["strict_valid"]),
        _codes(row["parse_errors_by_code"]),
        f"{row['loop_detections']}",
        _percent(row["reached_write"]),
        "-" if row["mean_steps"] is None else f"{row['mean_steps']:.1f}",
        _percent(row["pass_rate"]),
        "-" if tokens == [None, None] else f"{tokens[0] or 0:,} + {tokens[1] or 0:,}",
        "-" if row["cost_usd"] is None else f"${row['cost_usd']:.4f}",
        f"{row['wall_s']:.1f} s",
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _codes(by_code: Mapping[str, int]) -> str:
    if not by_code:
        return "0"
    ranked = sorted(by_code.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{code} {count}" for code, count in ranked[:_CODES_SHOWN]]
    more = ["..."] if len(ranked) > _CODES_SHOWN else []
    return f"{sum(by_code.values())}: " + ", ".join(shown + more)


def write_report(path: Path, run_id: str, settings: Mapping[str, Any], run_dir: Path) -> None:
    """Write every finished rollout of the run as JSON: ``{"run_id", "settings", "results": [...]}``."""
    report = {
        "run_id": run_id,
        "settings": settings,
        "results": [
            rollout.to_report() for path in sorted(run_dir.glob("*.jsonl")) if (rollout := read_finished(path))
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
