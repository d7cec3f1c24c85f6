"""Traces into the store: only what is not there yet, and a bad file costs that file only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_repoagent import trace, trace_legacy
from pytest_repoagent.fold import UnfinishedTrace, fold
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S
from pytest_repoagent.store.reader import query
from pytest_repoagent.store.writer import StoreWriter

BATCH = 100
_UNREADABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


@dataclass
class IngestReport:
    """What became of the files.

    Attributes:
        written: rollouts that are new in the store.
        already: rollouts that were there.
        unfinished: files with a rollout that has not ended: still running, or killed.
        rejected: files that hold no rollout that can be read, each with the reason.
    """

    written: int = 0
    already: int = 0
    unfinished: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)


def ingest(paths: Iterable[Path], store: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> IngestReport:
    """Record the finished rollouts of trace files, and of every ``*.jsonl`` below folders.

    Old-style traces are converted. A batch at a time is in memory. A store that is not there is made.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: as :meth:`pytest_repoagent.store.writer.StoreWriter.write`.
    """
    report = IngestReport()
    files = list(_files(paths))
    known = _recorded(store, busy_timeout_s) if len(files) > BATCH else set()  # fewer are read sooner than looked up
    writer = StoreWriter(store, busy_timeout_s)
    batch: list[Rollout] = []
    for path in files:
        for rollout in _rollouts(path, known, report):
            batch.append(rollout)
            if len(batch) == BATCH:
                _write(writer, batch, report)
                batch = []
    _write(writer, batch, report)
    return report


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*.jsonl") if file.is_file())
        else:
            yield path


def _recorded(store: Path, busy_timeout_s: float) -> set[str]:
    if not store.exists():
        return set()
    _, found = query(store, "SELECT rollout_id FROM rollouts", busy_timeout_s=busy_timeout_s)
    return {rollout_id for (rollout_id,) in found}


def _rollouts(path: Path, known: set[str], report: IngestReport) -> Iterator[Rollout]:
    """The file's finished rollouts that are not known, with the others noted in ``report``."""
    try:
        first = _first_event(path)
        if first is None:
            report.unfinished.append(path)
        elif trace_legacy.is_old_style(first):
            yield from _old_rollouts(path, known, report)
        elif first.get("kind") != "run_start":
            raise ValueError("its first line is no trace event")
        elif first["schema"] > trace.SCHEMA:
            raise ValueError(f"its schema is {first['schema']}, newer than this version's {trace.SCHEMA}")
        elif first["rollout_id"] in known:
            report.already += 1
        else:
            yield fold(trace.read(path), str(path))
    except UnfinishedTrace:
        report.unfinished.append(path)
    except _UNREADABLE as error:
        report.rejected.append((path, _reason(error)))


def _old_rollouts(path: Path, known: set[str], report: IngestReport) -> Iterator[Rollout]:
    for run in trace_legacy.read(path):
        if run.rollout_id in known:
            report.already += 1
            continue
        try:
            rollout = fold(trace_legacy.convert(run), str(path))
        except UnfinishedTrace:
            report.unfinished.append(path)
        except _UNREADABLE as error:
            report.rejected.append((path, f"run {run.fact('run_id')}: {_reason(error)}"))
        else:
            yield rollout


def _reason(error: Exception) -> str:
    return f"it lacks the field {error}" if isinstance(error, KeyError) else f"{error}"


def _first_event(path: Path) -> Mapping[str, Any] | None:
    """The first line's event; None where it is not written whole yet."""
    with path.open("rb") as file:
        line = file.readline()
    try:
        event = json.loads(line)
    except ValueError:
        if not line.endswith(b"\n"):
            return None
        raise ValueError("its first line is not JSON") from None
    if not isinstance(event, dict):
        raise ValueError("its first line is not a JSON object")
    return event


def _write(writer: StoreWriter, batch: list[Rollout], report: IngestReport) -> None:
    """Write the batch; where one rollout does not fit, the others one by one."""
    try:
        new = writer.write(batch)
    except ValueError as error:
        if len(batch) == 1:
            report.rejected.append((Path(batch[0].trace_path), str(error)))
            return
        for rollout in batch:
            _write(writer, [rollout], report)
        return
    report.written += new
    report.already += len(batch) - new
