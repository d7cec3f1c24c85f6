"""A baseline file: one arm as JSON, for a machine without the store.

``{"schema": 1, "identity": {...}, "tasks": {TASK_ID: {METRIC: [one value per rollout, null where it has none]}}}``.
``identity`` has the fields of :class:`pytest_repoagent.compare.arms.Identity`; metrics have the names of the columns of
``attempts.sql``. All lists of a task are of one length and in one order of rollouts; ``seed`` may be one of them, else
rollouts are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_repoagent.compare.arms import Arm, Attempt, Identity
from pytest_repoagent.errors import UsageError

Values = Mapping[str, Sequence[float | None]]


class _Baseline(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    version: Literal[1] = Field(alias="schema")
    identity: Identity
    tasks: dict[str, dict[str, list[float | None]]] = Field(min_length=1)


def load_baseline(path: Path) -> Arm:
    """The arm that a baseline file holds, under the file's name.

    Raises:
        UsageError: the file is missing or no baseline.
    """
    try:
        baseline = _Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise UsageError(f"{path} is no baseline file of schema 1: {where}: {first['msg']}") from None
    tasks = {task: _attempts(path, task, values) for task, values in baseline.tasks.items()}
    return Arm(path.name, baseline.identity, tasks)


def _attempts(path: Path, task: str, values: Values) -> list[Attempt]:
    lengths = sorted(set(map(len, values.values())))
    if len(lengths) != 1 or lengths[0] == 0:
        raise UsageError(f"{path}: the lists of task {task} must have one value per rollout, they have {lengths}")
    seeds = values.get("seed", range(lengths[0]))
    columns = {name: column for name, column in values.items() if name != "seed"}
    return [
        Attempt(int(seed or 0), dict(zip(columns, row, strict=True)))
        for seed, row in zip(seeds, zip(*columns.values(), strict=True), strict=True)
    ]
