"""The baseline of a gate: made of a recorded run, and only used for runs like that one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pytest_repoagent import bundled
from pytest_repoagent.compare.arms import Arm, conflicts, planned
from pytest_repoagent.compare.baseline_file import Baseline
from pytest_repoagent.compare.references import from_file, load_arm
from pytest_repoagent.errors import SuiteError, UsageError
from pytest_repoagent.suites import find_suite, first_mistake, load_suite

if TYPE_CHECKING:
    from pytest_repoagent.engine import Engine

FOLDER = Path("eval/baselines")
"""Where baselines are, seen from the root of a project."""


def check_comparable(path: Path, file: Baseline, engine: Engine) -> None:
    """Refuse a baseline whose rollouts were of other tasks, or under other settings, than the run's will be.

    Raises:
        UsageError: it cannot be compared; says what differs.
    """
    differing = conflicts(from_file(path.name, file).identity, planned(engine))
    if not differing and (odd := sorted(file.tasks.keys() ^ engine.tasks.keys())):
        differing = [f"it is not of the whole suite, which differs from it in {', '.join(odd)}"]
    if differing:
        raise UsageError(
            f"--baseline={path} cannot be compared with this run: {'; '.join(differing)}; "
            f"run with the baseline's suite and settings, or save another with `repoagent baseline save`"
        )


def _lacking(arm: Arm) -> list[str]:
    """The tasks of its suite that an arm does not have, as far as the suite is here to look at."""
    try:
        suite = load_suite(find_suite(arm.identity.suite or "", [Path("eval/suites"), bundled.suites_dir()]))
    except SuiteError:
        return []
    same = suite.sha256 == arm.identity.suite_sha256
    return sorted({task.task_id for task in suite.tasks} - arm.tasks.keys()) if same else []


def of_run(store: Path, reference: str) -> Baseline:
    """A baseline of recorded rollouts, named as :func:`pytest_repoagent.compare.references.load_arm` does.

    Raises:
        UsageError: there are none, of several models, or too few that count of a task.
        StoreBusy: a writer does not let go of the store.
    """
    arm = load_arm(reference, store)
    short = sorted(task for task, of_task in arm.tasks.items() if len(of_task["seed"]) < arm.expected)
    if short:
        raise UsageError(
            f"{reference} is no baseline: of {arm.expected} rollouts a task, fewer completed and count "
            f"of {', '.join(short)}; run it again"
        )
    if lacking := _lacking(arm):
        some = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
        raise UsageError(f"{reference} is no baseline: it has no rollout of {some}; run the whole suite")
    identity = arm.identity.model_dump(exclude={"runs"})
    created = datetime.now(UTC).replace(microsecond=0)
    try:
        return Baseline.model_validate({"schema": 1, "identity": {**identity, "created": created}, "tasks": arm.tasks})
    except ValidationError as error:
        raise UsageError(f"{reference} is no baseline, as this is not recorded of it: {first_mistake(error)}") from None
