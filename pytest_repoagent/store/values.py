"""What each rollout of a run measured: all that a comparison by task needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_repoagent.store.connection import sql
from pytest_repoagent.store.reader import query

TaskValues = Mapping[str, Mapping[str, Sequence[float | None]]]
"""Task id -> column -> a value per counted rollout, in their order; None where the rollout says nothing of it."""

COLUMNS = (
    *("seed", "strict_valid", "lenient_valid", "executed_ok", "parse_errors", "loop_detections", "loop_rate"),
    *("reached_write", "pass_rate", "steps", "finished_steps", "tokens", "cost_usd"),
)
"""Those of ``rollout_values.sql`` beside the task."""

SHARES = frozenset({"strict_valid", "lenient_valid", "executed_ok", "loop_rate", "reached_write", "pass_rate"})
"""Columns whose values lie between 0 and 1."""


def rollout_values(store: Path, runs: Sequence[str], model: str) -> dict[str, dict[str, list[float | None]]]:
    """The values of some runs' counted rollouts of one model, as :data:`TaskValues`; empty where there are none.

    Raises:
        StoreBusy, UsageError: the store cannot be read.
    """
    (_, *columns), rows = query(store, sql("rollout_values.sql"), {"model": model, "runs": list(runs)})
    values: dict[str, dict[str, list[float | None]]] = {}
    for task_id, *row in rows:
        of_task = values.setdefault(task_id, {column: [] for column in columns})
        for column, value in zip(columns, row, strict=True):
            of_task[column].append(value)
    return values
