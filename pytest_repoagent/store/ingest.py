"""Traces into the store: only what is not there yet, and a bad file costs that file only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_repoagent import trace, trace_legacy
from pytest_repoagent.fold import UnfinishedTrace, fold
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S
from pytest_repoagent.store.reader import load_rollouts, query
from pytest_repoagent.store.recordable import check
from pytest_repoagent.store.rows import same
from pytest_repoagent.store.writer import StoreWriter
from pytest_repoagent.undisturbed import undisturbed

BATCH = 100
BATCH_BYTES = 32 * 2**20
"""Bytes of traces that are in memory at once, beside the last file's."""
_UNREADABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


@dataclass
class IngestReport:
    """What became of the files.

    Attributes:
        written: rollouts that are new in the store.
        already: rollouts that were there.
        unfinished: files with a rollout that has not ended: still running, or killed.
        rejected: files that hold no rollout that can be read, or another one than what is recorded under its id, each
            with the reason.
    """

    written: int = 0
    already: int = 0
    unfinished: list[Path] = field(default_factory=list)
    rejected: list[tuple[Path, str]] = field(default_factory=list)


def ingest(
    paths: Iterable[Path],
    store: Path,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> IngestReport:
    """Record the finished rollouts of trace files, and of every ``*.jsonl`` below folders.

    Old-style traces are converted. A batch at a time is in memory. A store that is not there is made. ``track`` gets
    the files, and gives them back one by one as they are read, so that it can show how far that is.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: as :meth:`pytest_repoagent.store.writer.StoreWriter.write`.
    """
    report = IngestReport()
    files = list(_files(paths, report))
    known = _recorded(store, busy_timeout_s) if len(files) > BATCH else {}  # fewer are read sooner than looked up
    writer = StoreWriter(store, busy_timeout_s)
    batch: list[Rollout] = []
    size = 0
    for path in track(files):
        for rollout in _rollouts(path, known, report):
            batch.append(rollout)
            size += _size(path)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                _write(writer, batch, report)
                batch, size = [], 0
    _write(writer, batch, report)
    return report


def _files(paths: Iterable[Path], report: IngestReport) -> Iterator[Path]:
    """Files as they are given, and those below folders in order; folders that cannot be read are rejected."""

    def unreadable(error: OSError) -> None:
        report.rejected.append((Path(error.filename), _reason(error)))

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, below, names in os.walk(path, onerror=unreadable):
            below.sort()
            yield from (Path(folder, name) for name in sorted(names) if name.endswith(".jsonl"))


def _recorded(store: Path, busy_timeout_s: float) -> dict[str, str]:
    """Where each recorded rollout was read from."""
    if not store.exists():
        return {}
    _, found = query(store, "SELECT rollout_id, trace_path FROM rollouts", busy_timeout_s=busy_timeout_s)
    return dict(found)


def _rollouts(path: Path, known: Mapping[str, str], report: IngestReport) -> Iterator[Rollout]:
    """The file's finished rollouts, but for what was read from it before, with the others noted in ``report``."""
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
        elif known.get(first["rollout_id"]) == str(path):
            report.already += 1
        else:
            rollout = fold(trace.read(path), str(path))
            check(rollout)
            yield rollout
    except UnfinishedTrace:
        report.unfinished.append(path)
    except _UNREADABLE as error:
        report.rejected.append((path, _reason(error)))


def _old_rollouts(path: Path, known: Mapping[str, str], report: IngestReport) -> Iterator[Rollout]:
    for run in trace_legacy.read(path):
        if run.rollout_id in known:  # which names its content
            report.already += 1
            continue
        try:
            rollout = fold(trace_legacy.convert(run), str(path))
            check(rollout)
        except UnfinishedTrace:
            report.unfinished.append(path)
        except _UNREADABLE as error:
            report.rejected.append((path, f"run {run.fact('run_id')}: {_reason(error)}"))
        else:
            yield rollout


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was there when it was read
        return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"it lacks the field {error}" if isinstance(error, KeyError) else f"{error}"


def _first_event(path: Path) -> Mapping[str, Any] | None:
    """The first line's event; None where it is not written whole yet."""
    line = next(islice(trace.lines(path), 1), b"")
    try:
        event = json.loads(line)
    except ValueError:
        if not line or (line.startswith(b"{") and not line.endswith(b"\n")):
            return None
        raise ValueError("its first line is not JSON") from None
    if not isinstance(event, dict):
        raise ValueError("its first line is not a JSON object")
    return event


def _write(writer: StoreWriter, batch: Sequence[Rollout], report: IngestReport) -> None:
    """Write the batch; where one rollout does not fit, the others one by one."""
    try:
        with undisturbed():
            new = writer.write(batch)
    except ValueError as error:
        if len(batch) == 1:
            report.rejected.append((Path(batch[0].trace_path), str(error)))
            return
        for rollout in batch:
            _write(writer, [rollout], report)
        return
    report.written += new
    if new < len(batch):
        clashes = _clashes(writer, batch)
        report.rejected += clashes
        report.already += len(batch) - new - len(clashes)


def _clashes(writer: StoreWriter, batch: Sequence[Rollout]) -> list[tuple[Path, str]]:
    """Rollouts that are not what was recorded, from another file, under their ids."""
    paths = _recorded(writer.path, writer.busy_timeout_s)
    others = [r for r in batch if paths[r.rollout_id] != r.trace_path]
    if not others:
        return []
    found = load_rollouts(writer.path, [r.rollout_id for r in others], writer.busy_timeout_s)
    recorded = {r.rollout_id: r for r in found}
    return [
        (Path(r.trace_path), f"{paths[r.rollout_id]} is recorded as rollout {r.rollout_id}, and differs")
        for r in others
        if not same(r, recorded[r.rollout_id])
    ]
