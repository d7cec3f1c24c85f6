"""``--resume``: going on with a run that was killed, stopped, or ran out of its budget.

A run's folder names the run in ``run.json``, written before the first rollout. Whoever resumes it makes the same
rollouts, for which :class:`pytest_repoagent.engine.Engine` finds the finished traces; only what is missing is made.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_repoagent.engine import Engine
from pytest_repoagent.errors import UsageError
from pytest_repoagent.pace import FOLDER as PACE
from pytest_repoagent.settings import Settings
from pytest_repoagent.store.reader import query_dicts

FILE = "run.json"
PLANS = "plans"
"""Folder in which each process says what it selected."""
_SESSION_LOCK = "session.lock"


class RunFile(BaseModel):
    """What ``run.json`` says; the fields are those of ``run_start`` in a trace (:mod:`pytest_repoagent.trace`)."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    started_at: str
    models: tuple[str, ...]
    suite: str
    suite_sha256: str
    settings: Mapping[str, Any]
    settings_hash: str


@dataclass(frozen=True)
class Recorded:
    """What a run has in the store when it is resumed.

    Attributes:
        finished: rollouts, spoiled ones included.
        again: ids of those that are to be attempted again.
    """

    finished: int
    again: tuple[str, ...]


def find_run(reference: str, trace_root: Path) -> RunFile:
    """The run that ``last`` (the one that was started last), a run's id or the beginning of one names.

    Raises:
        UsageError: there is none, there are several, or its file cannot be read.
    """
    runs = [_read(path) for path in sorted(trace_root.glob(f"*/{FILE}"))]
    if reference == "last" and runs:
        return max(runs, key=lambda run: run.started_at)
    named = [run for run in runs if run.run_id == reference] or [
        run for run in runs if reference and run.run_id.startswith(reference)
    ]
    if len(named) != 1:
        there = ", ".join(run.run_id for run in named or runs[-5:]) or "none"
        which = "several runs" if named else "no run that can be resumed"
        raise UsageError(f"--resume={reference} names {which} in {trace_root}; there are {there}")
    return named[0]


def check_same(run: RunFile, engine: Engine) -> None:
    """Make sure that what is asked for is what the run was.

    Raises:
        UsageError: names what differs.
    """
    now = engine.settings
    differs = [f"--model={spec} is new" for spec in now.model if spec not in run.models]
    if (run.suite, run.suite_sha256) != (engine.suite.name, engine.suite.sha256):
        differs.append(
            f"--suite was {run.suite}" if run.suite != engine.suite.name else f"suite {run.suite} has changed"
        )
    differs += _changed(run, now)
    if not differs and run.settings_hash != engine.settings_hash:
        differs.append("the system prompt is another, because of other tools or another version")
    if differs:
        raise UsageError(
            f"run {run.run_id} cannot be resumed with other settings: {'; '.join(differs)}; give those that it was "
            f"started with, or start a new run without --resume"
        )


def enter(engine: Engine, resumed: bool) -> FileLock:
    """Begin a new run's folder, or take over that of a run to resume; be its only session until the lock is released.

    Raises:
        UsageError: another session is.
    """
    folder = engine.run_dir
    folder.mkdir(parents=True, exist_ok=resumed)
    lock = FileLock(folder / _SESSION_LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"run {engine.run_id} cannot be resumed: another session is still at it") from None
    if resumed:
        for past in (PLANS, PACE):
            shutil.rmtree(folder / past, ignore_errors=True)
        engine.account.forget_calls_under_way()
    else:
        partial = folder / f"{FILE}.partial"
        partial.write_text(_describe(engine).model_dump_json(indent=2) + "\n")
        partial.replace(folder / FILE)
    return lock


def recorded(engine: Engine) -> Recorded:
    """What the store has of the run.

    Raises:
        UsageError: a rollout's trace is gone, so that it would be made a second time.
        StoreBusy: the store cannot be read.
    """
    rows = query_dicts(
        engine.settings.store,
        "SELECT rollout_id, trace_path, counted, outcome FROM rollouts WHERE run_id = ? ORDER BY rollout_id",
        [engine.run_id],
    )
    gone = [row for row in rows if not (engine.run_dir / Path(row["trace_path"]).name).exists()]
    if gone:
        raise UsageError(
            f"run {engine.run_id} cannot be resumed: {len(gone)} of its traces are gone from {engine.run_dir}, such as "
            f"{Path(gone[0]['trace_path']).name}; start a new run without --resume"
        )
    again = [
        row["rollout_id"]
        for row in rows
        if not row["counted"] and (engine.settings.rerun_errors or row["outcome"] == "budget")
    ]
    return Recorded(len(rows), tuple(again))


def _describe(engine: Engine) -> RunFile:
    settings = engine.settings
    return RunFile(
        run_id=engine.run_id,
        started_at=engine.started_at,
        models=settings.model,
        suite=engine.suite.name,
        suite_sha256=engine.suite.sha256,
        settings=settings.recorded(),
        settings_hash=engine.settings_hash,
    )


def _changed(run: RunFile, now: Settings) -> list[str]:
    """The settings that name the run's rollouts and were others."""
    names = [*now.shaping(), "seed", *(["tag"] if now.tag else [])]
    current = now.model_dump(mode="json")
    return [
        f"--{name.replace('_', '-')} was {run.settings[name]} and is {current[name]}"
        for name in names
        if name in run.settings and run.settings[name] != current[name]
    ]


def _read(path: Path) -> RunFile:
    try:
        return RunFile.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise UsageError(f"{path} does not name a run ({type(error).__name__}): move its folder away") from None
