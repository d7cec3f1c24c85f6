"""Old-style traces, as events of ours.

The agent that this project grew out of logged other fields under the same kinds: ``llm_request`` holds the whole
``messages``, ``llm_action`` (or ``llm_parse_error``) the reply in ``raw`` and what was made of it in ``action``,
``tool_result`` the tool's ``ok`` and ``content`` (or ``obs`` with ``ok`` and ``output``), ``tests`` the driver's test
run, ``final`` the last word, ``run_end`` the ``success`` (or ``state`` with ``last_test``). The fields lie in the
event or in its ``payload``; facts such as ``task_id`` and ``model`` in ``run_start`` or in every event's ``meta``. One
file may hold several runs, told apart by ``run_id``.

Replies are parsed again by our parser; what was not recorded is None.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from pytest_repoagent.rollout import Outcome
from pytest_repoagent.trace import lines
from pytest_repoagent.trace_legacy_steps import REPLIES, Event, step_events

_KINDS = frozenset({"run_start", "llm_request", *REPLIES, "tool_result", "driver_note", "final", "run_end"})


@dataclass
class OldRun:
    """One run of an old-style file: its events, fields flattened, and the hash of its lines."""

    events: list[Event] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)

    @property
    def rollout_id(self) -> str:
        """A name that depends on the recorded lines alone, so that a copy is the same rollout."""
        return f"legacy-{self.digest.hexdigest()[:16]}"

    def fact(self, name: str) -> Any:
        """The first known value of a field in any event."""
        return next((event[name] for event in self.events if event.get(name) is not None), None)

    def last(self, kind: str) -> Event | None:
        """The last event of ``kind``."""
        return next((event for event in reversed(self.events) if event["kind"] == kind), None)


def is_old_style(first: Mapping[str, Any]) -> bool:
    """Whether a file whose first line is ``first`` is an old-style trace."""
    return "schema" not in first and _kind(first) in _KINDS


def read(path: Path) -> list[OldRun]:
    """The runs of a file, in the order in which they began; a torn last line ends it quietly.

    Raises:
        ValueError: a line before the last is no event; names file and line. Or as
            :func:`pytest_repoagent.trace.lines`.
        OSError: the file cannot be read.
    """
    runs: list[OldRun] = []
    current: dict[Any, OldRun] = {}
    run_id = None
    for line, event in _events(path):
        run_id = event.get("run_id", run_id)
        run = current.get(run_id)
        begins_after = {"run_start": "run_start", "llm_request": "run_end"}.get(event["kind"])
        if run is None or (begins_after is not None and run.last(begins_after)):
            run = current[run_id] = OldRun()
            runs.append(run)
        run.events.append(event)
        run.digest.update(line.strip() + b"\n")
    return runs


def convert(run: OldRun) -> list[Event]:
    """The run's events as :mod:`pytest_repoagent.trace` describes them; without ``run_end`` where it had none.

    Raises:
        ValueError: the run cannot be represented: native tool calls, or a reply without its text.
        KeyError, TypeError: an event lacks a field or has one of another type.
    """
    return [_run_start(run), *step_events(run.events), *_tests(run), *_endings(run)]


def _events(path: Path) -> Iterator[tuple[bytes, Event]]:
    for number, line in enumerate(lines(path), 1):
        try:
            event = json.loads(line)
            kind = _kind(event)
        except (ValueError, AttributeError):
            kind = None
        if kind is None:
            if not line.endswith(b"\n"):
                return
            raise ValueError(f"{path}:{number} is not a trace event")
        parts = [part for part in (event.get("meta"), event, event.get("payload")) if isinstance(part, dict)]
        yield line, {name: value for part in parts for name, value in part.items()} | {"kind": kind}


def _kind(event: Mapping[str, Any]) -> str | None:
    kind = event.get("kind") or event.get("event") or event.get("type")
    return kind if isinstance(kind, str) else None


def _run_start(run: OldRun) -> Event:
    settings = {name: run.fact(name) for name in ("provider", "temperature", "test_cmd")}
    began = _time(run.fact("ts"))
    return {
        "kind": "run_start",
        "ts": began,
        "rollout_id": run.rollout_id,
        "run_id": run.fact("run_id") or run.rollout_id,
        **{name: run.fact(name) for name in ("task_id", "model", "index", "seed", "attempt")},
        "run": {
            "started_at": began,
            "suite": run.fact("suite"),
            "settings": {name: value for name, value in settings.items() if value is not None},
            "versions": {"trace": "legacy"},
        },
        "task": {
            "family": run.fact("family"),
            "metadata": run.fact("metadata") or {},
            "expected_files": run.fact("expected_files") or [],
            "goal": run.fact("goal"),
        },
    }


def _time(ts: Any) -> str | None:
    """Seconds since 1970 or ISO 8601, as ISO 8601; a time without a zone is unknown."""
    if isinstance(ts, int | float):
        return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds")
    if isinstance(ts, str) and datetime.fromisoformat(ts).tzinfo is not None:
        return ts
    return None


def _tests(run: OldRun) -> Iterator[Event]:
    step, wrote = -1, False
    for event in run.events:
        if event["kind"] in REPLIES:
            step, wrote = step + 1, False
        elif event["kind"] == "tool_result":
            wrote = event.get("tool", event.get("name")) == "write_file"
        elif event["kind"] in ("tests", "test_run"):
            yield {
                "kind": "test_run",
                "step": step if wrote else None,
                "passed": event["ok"] if "ok" in event else event["passed"],
                "text": event.get("output", event.get("text")),
                **{name: event.get(name) for name in ("reason", "counts", "duration_s", "cpu_s", "runner")},
            }


def _endings(run: OldRun) -> Iterator[Event]:
    final, end = run.last("final"), run.last("run_end")
    if final is not None:
        yield {"kind": "final", "summary": (final.get("final") or final).get("summary") or ""}
    if end is None:
        return
    state = end.get("state") or {}
    loops = sum(e["kind"] == "driver_note" and "Loop detected" in str(e.get("note")) for e in run.events)
    yield {
        "kind": "run_end",
        "outcome": _outcome(end, final),
        "success": _success(end, state, run.last("tests") or run.last("test_run") or {}),
        **{name: end.get(name) for name in ("error", "cause", "duration_s", "diff", "cost_usd")},
        "files_touched": end.get("files_touched") or state.get("files_touched") or [],
        "loop_detections": end.get("loop_detections", loops),
        "reflection_count": end.get("reflection_count", sum(e["kind"] == "reflection" for e in run.events)),
    }


def _outcome(end: Event, final: Event | None) -> str | None:
    if end.get("outcome") in get_args(Outcome):
        return str(end["outcome"])
    if end.get("error"):  # of unknown cause, so it is not held against the model
        return "infrastructure_error"
    if final is not None:
        return "final"
    return "max_iters" if "max iters" in str(end.get("summary")) else None


def _success(end: Event, state: Event, tests: Event) -> bool | None:
    said = (end.get("success"), (state.get("last_test") or {}).get("ok"), tests.get("ok"), tests.get("passed"))
    return next((value for value in said if isinstance(value, bool)), None)
