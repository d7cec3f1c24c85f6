"""What every trace says of its run and its task, beside what happened in it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pytest_repoagent.suites import Task
from pytest_repoagent.testrun.base import Runner

if TYPE_CHECKING:
    from pytest_repoagent.workshop import Workshop


def run_facts(workshop: Workshop, runner: Runner) -> dict[str, Any]:
    """The field ``run`` of ``run_start`` (see :mod:`pytest_repoagent.trace`)."""
    run, suite = workshop.run, workshop.run.suite
    return {
        "started_at": run.started_at,
        "settings": run.settings.recorded(),
        "settings_hash": workshop.settings_hash,
        "suite": suite.name,
        "suite_sha256": suite.sha256,
        "split": suite.split,
        "source": suite.source,
        "commit": suite.commit,
        "versions": dict(_versions()),
        "runner": runner.name,
        "sandbox": runner.sandbox,
    }


def task_facts(task: Task) -> dict[str, Any]:
    """The field ``task`` of ``run_start``."""
    return {
        "family": task.family,
        "metadata": task.metadata.model_dump(),
        "expected_files": list(task.expected_files),
    }


@cache
def _versions() -> dict[str, str]:
    return {"pytest_repoagent": version("pytest-repoagent"), "python": platform.python_version()}
