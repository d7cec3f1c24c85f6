"""Baselines: small JSON files with what each rollout of a run measured, reviewed and kept in git.

A machine without the store can gate a run against one; the store is only needed to make one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from pytest_repoagent.errors import UsageError
from pytest_repoagent.gate.metrics import METRICS
from pytest_repoagent.settings import SHAPING
from pytest_repoagent.store.values import rollout_values, run_facts
from pytest_repoagent.suite_fields import Name, Sha256, Strict, TaskId
from pytest_repoagent.suites import first_mistake

if TYPE_CHECKING:
    from pytest_repoagent.engine import Engine

FOLDER = Path("eval/baselines")
"""Where baselines are, seen from the root of a project."""

Value = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Values = Annotated[tuple[Value | None, ...], Field(min_length=1)]


class Identity(Strict):
    """What the rollouts were: a run is judged only against a baseline of the same suite and settings.

    Attributes:
        suite: its name.
        suite_sha256: of its content.
        settings_hash: names the settings that shape a rollout, the system prompt among them.
        settings: those settings by name, for people.
        model: spec ``provider:name``; a run of another one may be judged.
        created: when the baseline was made.
    """

    suite: Name
    suite_sha256: Sha256
    settings_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    settings: dict[str, str | int | float | bool | None]
    model: Annotated[str, Field(min_length=1)]
    created: AwareDatetime


class Baseline(Strict):
    """A baseline file.

    Attributes:
        tasks: task id -> metric -> a value per rollout; null where the rollout says nothing of it.
    """

    schema_: Literal[1] = Field(alias="schema")
    identity: Identity
    tasks: Annotated[dict[TaskId, dict[str, Values]], Field(min_length=1)]

    @model_validator(mode="after")
    def _values_make_sense(self) -> Self:
        for task_id, of_task in self.tasks.items():
            if of_task.keys() != METRICS.keys():
                odd = sorted(of_task.keys() ^ METRICS.keys())
                raise ValueError(f"has or lacks the metrics {', '.join(odd)} of {task_id}, so save it again")
            if len({len(values) for values in of_task.values()}) > 1:
                raise ValueError(f"has metrics of {task_id} with different numbers of rollouts")
            for metric, values in of_task.items():
                if METRICS[metric].kind == "share" and any(value is not None and value > 1 for value in values):
                    raise ValueError(f"has a share above 1 for {metric} of {task_id}")
        return self

    @property
    def rollouts(self) -> list[int]:
        """The numbers of rollouts that tasks have, each once, in order."""
        return sorted({len(of_task["steps"]) for of_task in self.tasks.values()})


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


def check_comparable(path: Path, file: Baseline, engine: Engine) -> None:
    """Refuse a baseline whose rollouts were of other tasks, or under other settings, than the run's will be.

    Raises:
        UsageError: it cannot be compared; says what differs.
    """
    identity, suite = file.identity, engine.suite
    if identity.suite_sha256 != suite.sha256:
        raise _incomparable(
            path,
            f"it is of the suite {identity.suite} {identity.suite_sha256[:12]}, "
            f"the run of {suite.name} {suite.sha256[:12]}",
        )
    if identity.settings_hash != engine.settings_hash:
        ours, theirs = engine.settings.shaping(), identity.settings
        other = [f"{name} {theirs.get(name)}, not {ours[name]}" for name in SHAPING if theirs.get(name) != ours[name]]
        raise _incomparable(path, f"it was made with {'; '.join(other) or 'another system prompt'}")
    if file.tasks.keys() != engine.tasks.keys():
        odd = sorted(file.tasks.keys() ^ engine.tasks.keys())
        raise _incomparable(path, f"it is not of the whole suite, which differs from it in {', '.join(odd)}")


def _incomparable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"--baseline={path} cannot be compared with this run: {reason}; "
        f"run with the baseline's suite and settings, or save another with `repoagent baseline save`"
    )


def of_run(store: Path, ref: str) -> Baseline:
    """A baseline of a recorded run: ``RUN`` (an id or ``last``), or ``RUN@MODEL`` where several models ran.

    Raises:
        UsageError: there is no such run or model, or a rollout of it is missing or does not count.
        StoreBusy: a writer does not let go of the store.
    """
    run, _, model = ref.partition("@")
    facts = run_facts(store, run)
    if model not in facts.models and (model or len(facts.models) > 1):
        raise UsageError(f"{ref} must choose one model of the run with {run}@MODEL: {', '.join(facts.models)}")
    model = model or facts.models[0]
    tasks = rollout_values(store, facts.run_id, model)
    expected = int(facts.settings["rollouts"])
    short = sorted(task for task, of_task in tasks.items() if len(of_task["steps"]) < expected)
    if short or not tasks:
        raise UsageError(
            f"{ref} is no baseline: of {expected} rollouts a task, fewer completed and count "
            f"of {', '.join(short) or 'every task'}; run it again"
        )
    return Baseline.model_validate(
        {
            "schema": 1,
            "identity": {
                "suite": facts.suite,
                "suite_sha256": facts.suite_sha256,
                "settings_hash": facts.settings_hash,
                "settings": {name: facts.settings[name] for name in SHAPING},
                "model": model,
                "created": datetime.now(UTC).replace(microsecond=0),
            },
            "tasks": tasks,
        }
    )


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
