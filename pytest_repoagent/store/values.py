"""What each rollout of a run measured, and what the run was: all that a comparison by task needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.store.connection import sql
from pytest_repoagent.store.reader import query

TaskValues = Mapping[str, Mapping[str, Sequence[float | None]]]
"""Task id -> metric -> a value per counted rollout, in their order; None where the rollout says nothing of it."""


@dataclass(frozen=True)
class RunFacts:
    """What a recorded run was made under, and the models that ran in it; ``settings`` has every setting by name."""

    run_id: str
    suite: str
    suite_sha256: str
    settings_hash: str
    settings: Mapping[str, Any]
    models: tuple[str, ...]


def rollout_values(store: Path, run_id: str, model: str) -> dict[str, dict[str, list[float | None]]]:
    """The values of a run's counted rollouts of one model, as :data:`TaskValues`; empty where there are none.

    Raises:
        StoreBusy, UsageError: the store cannot be read.
    """
    (_, *metrics), rows = query(store, sql("rollout_values.sql"), [run_id, model])
    values: dict[str, dict[str, list[float | None]]] = {}
    for task_id, *row in rows:
        of_task = values.setdefault(task_id, {metric: [] for metric in metrics})
        for metric, value in zip(metrics, row, strict=True):
            of_task[metric].append(value)
    return values


def run_facts(store: Path, run: str) -> RunFacts:
    """The facts of the run with this id, or of the newest one where it is ``last``.

    Raises:
        UsageError: there is no such run, or no store.
        StoreBusy: a writer does not let go of the store.
    """
    _, rows = query(
        store,
        "SELECT run_id, suite, suite_sha256, settings_hash, settings FROM runs "
        "WHERE run_id = ? OR ? = 'last' ORDER BY started_at DESC, run_id LIMIT 1",
        [run, run],
    )
    if not rows:
        raise UsageError(f"there is no run {run} in {store}: give last, or one of those that `repoagent runs` lists")
    run_id, suite, suite_sha256, settings_hash, settings = rows[0]
    _, models = query(store, "SELECT DISTINCT model FROM rollouts WHERE run_id = ? ORDER BY model", [run_id])
    return RunFacts(
        run_id, suite, suite_sha256, settings_hash, json.loads(settings or "{}"), tuple(model for (model,) in models)
    )
