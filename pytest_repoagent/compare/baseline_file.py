"""Baselines: small JSON files with what each rollout of a run measured, reviewed and kept in git.

A machine without the store can compare a run with one; the store is only needed to make one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from pytest_repoagent.errors import UsageError
from pytest_repoagent.store.values import COLUMNS, SHARES
from pytest_repoagent.suite_fields import Name, Printable, Sha256, Strict, TaskId
from pytest_repoagent.suites import first_mistake

Value = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Values = Annotated[tuple[Value | None, ...], Field(min_length=1)]


class Made(Strict):
    """What the rollouts of a baseline were.

    Attributes:
        suite: its name.
        suite_sha256: of its content.
        settings_hash: names the settings that shape a rollout, the system prompt among them.
        settings: those settings by name, for people.
        model: spec ``provider:name``.
        created: when the baseline was made.
    """

    suite: Name
    suite_sha256: Sha256
    settings_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    settings: dict[Printable, Printable | int | float | bool | None]
    model: Annotated[Printable, Field(min_length=1)]
    created: AwareDatetime


class Baseline(Strict):
    """A baseline file.

    Attributes:
        tasks: as :data:`pytest_repoagent.store.values.TaskValues`.
    """

    schema_: Literal[1] = Field(alias="schema")
    identity: Made
    tasks: Annotated[dict[TaskId, dict[str, Values]], Field(min_length=1)]

    @model_validator(mode="after")
    def _values_make_sense(self) -> Self:
        for task_id, of_task in self.tasks.items():
            if odd := sorted(of_task.keys() ^ set(COLUMNS)):
                raise ValueError(f"has or lacks the metrics {', '.join(odd)} of {task_id}, so save it again")
            if len({len(values) for values in of_task.values()}) > 1:
                raise ValueError(f"has metrics of {task_id} with different numbers of rollouts")
            for metric, values in of_task.items():
                if metric in SHARES and any(value is not None and value > 1 for value in values):
                    raise ValueError(f"has a share above 1 for {metric} of {task_id}")
        return self

    @property
    def rollouts(self) -> list[int]:
        """The numbers of rollouts that tasks have, each once, in order."""
        return sorted({len(of_task["seed"]) for of_task in self.tasks.values()})


def load_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        UsageError: there is none, or there is anything wrong with it; names the file and the field.
    """
    try:
        return Baseline.model_validate_json(path.read_text(encoding="utf-8"), strict=True)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); `repoagent baseline save RUN NAME` makes a baseline"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not JSON in UTF-8 ({error})") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {first_mistake(error)}") from None


def write_baseline(file: Baseline, path: Path) -> None:
    """Write a baseline, whole or not at all; a line per task and metric, so that changes read well in a review.

    Raises:
        UsageError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text("\n".join(_lines(file)) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def _lines(file: Baseline) -> Iterator[str]:
    identity = json.dumps(file.identity.model_dump(mode="json"), indent=2, ensure_ascii=False)
    yield '{\n  "schema": 1,'
    yield '  "identity": ' + identity.replace("\n", "\n  ") + ","
    yield '  "tasks": {'
    for number, (task_id, of_task) in enumerate(file.tasks.items(), 1):
        values = ",\n".join(f"      {json.dumps(metric)}: {json.dumps(row)}" for metric, row in of_task.items())
        yield f"    {json.dumps(task_id)}: {{\n{values}\n    }}" + ("," if number < len(file.tasks) else "")
    yield "  }\n}"
