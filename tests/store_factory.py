"""Rollouts for the store's tests, made the way real ones are: trace events, folded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from pytest_repoagent import trace
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.render import prompt_sha256, state
from pytest_repoagent.rollout import Rollout, Step
from pytest_repoagent.store import connection, rows

HERE = Path(__file__).parent
READ = {"type": "tool_call", "name": "read_file", "args": {"rel_path": "gcd.py", "max_chars": 4000}}
WRITE = {"type": "tool_call", "name": "write_file", "args": {"rel_path": "gcd.py", "content": "def gcd(a, b): ...\n"}}
FINAL = {"type": "final", "summary": "fixed", "changes": []}

_numbers = itertools.count()


def reply(
    action: Mapping[str, Any] | None, *, ok: bool | None = None, error: str | None = None, lenient: bool = False
) -> dict[str, Any]:
    """One step: ``error`` is the code of a reply that was not strictly valid."""
    return {"action": action, "ok": ok, "error": error, "lenient": lenient}


def read(ok: bool = True) -> dict[str, Any]:
    return reply(READ, ok=ok)


def write() -> dict[str, Any]:
    return reply(WRITE, ok=True)


def final() -> dict[str, Any]:
    return reply(FINAL)


def bad(code: str, lenient: bool = False) -> dict[str, Any]:
    return reply(None, error=code, lenient=lenient)


def events(
    steps: Iterable[Mapping[str, Any]] = (),
    *,
    outcome: str = "final",
    success: bool | None = None,
    task: str = "quixbugs/gcd",
    model: str = "builtin:novice",
    index: int = 0,
    attempt: int = 0,
    run_id: str = "run1",
    rollout_id: str | None = None,
    settings_hash: str = "abc",
    run_started_at: str = "2026-11-20T09:59:59+00:00",
    started_at: str = "2026-11-20T10:00:00.125+00:00",
    duration_s: float = 2.0,
    loops: int = 0,
    cost_usd: float | None = None,
    tokens: tuple[int, int] | None = None,
    text: str = "x",
) -> list[dict[str, Any]]:
    """The events of one finished rollout; ``text`` goes wherever a model or tool may write."""
    out: list[dict[str, Any]] = [
        {
            "kind": "run_start",
            "ts": started_at,
            "schema": trace.SCHEMA,
            "rollout_id": rollout_id or f"rollout{next(_numbers)}",
            "run_id": run_id,
            "task_id": task,
            "model": model,
            "index": index,
            "seed": 7 + index,
            "attempt": attempt,
            "run": {
                "started_at": run_started_at,
                "settings": {"window": "full", "temperature": 0.2},
                "settings_hash": settings_hash,
                "suite": "quixbugs_heldout",
                "suite_sha256": "0" * 64,
                "split": "heldout",
                "source": "quixbugs",
                "commit": "4257f44",
                "versions": {"pytest_repoagent": "0.1.0"},
                "runner": "warm",
                "sandbox": "full",
            },
            "task": {
                "family": task.partition("/")[2],
                "metadata": {"difficulty": "easy", "category": "math", "defect_class": "wrong_argument"},
                "expected_files": ["gcd.py"],
            },
        }
    ]
    new: list[list[Message]] = []
    raws: list[str] = []
    for number, step in enumerate(steps):
        opening: list[Message] = [{"role": "system", "content": "rules"}, {"role": "user", "content": "GOAL:\nfix"}]
        new.append(opening if number == 0 else [{"role": "user", "content": f"[tool_result]\n{text}"}])
        out.append(
            {
                "kind": "llm_request",
                "step": number,
                "new_messages": new[-1],
                "window": "full",
                "prompt_sha256": prompt_sha256(state(new, raws, number, "full")),
            }
        )
        raws.append(f"reply {number} {text}")
        out.append(
            {
                "kind": "llm_action",
                "step": number,
                "raw": raws[-1],
                "finish_reason": "stop",
                "action": step["action"],
                "error_code": step["error"],
                "error_message": step["error"] and f"wrong: {text}",
                "strict_valid": step["error"] is None,
                "lenient_valid": step["error"] is None or step["lenient"],
                "repair": None,
                "flags": [],
                "prompt_tokens": tokens and tokens[0],
                "completion_tokens": tokens and tokens[1],
                "latency_s": 0.25,
                "extra": {},
            }
        )
        if step["ok"] is not None:
            code = None if step["ok"] else "not_found"
            out.append(
                {
                    "kind": "tool_result",
                    "step": number,
                    "ok": step["ok"],
                    "code": code,
                    "content": text,
                    "duration_s": 0.001,
                }
            )
    if success is not None:
        out.append(
            {
                "kind": "test_run",
                "step": None,
                "passed": success,
                "reason": "passed" if success else "failed",
                "counts": {"passed": 6} if success else {"failed": 5, "passed": 1},
                "text": f"tests {text}",
                "duration_s": 0.02,
                "cpu_s": 0.01,
                "runner": "warm",
                "judge": "split",
                "sandbox": "full",
            }
        )
    out.append(
        {
            "kind": "run_end",
            "outcome": outcome,
            "success": success,
            "error": None if outcome == "final" else f"stopped {text}",
            "cause": "provider" if outcome == "provider_error" else None,
            "duration_s": duration_s,
            "diff": f"--- a\n+++ b\n{text}",
            "files_touched": ["gcd.py"],
            "loop_detections": loops,
            "reflection_count": 0,
            "cost_usd": cost_usd,
        }
    )
    return out


def rollout(steps: Iterable[Mapping[str, Any]] = (), trace_path: str = "a.jsonl", **facts: Any) -> Rollout:
    """The record of :func:`events`."""
    return fold(events(steps, **facts), trace_path)


def trace_file(path: Path, recorded: Iterable[Mapping[str, Any]]) -> Path:
    """Write events as a worker does."""
    with trace.Trace(path) as log:
        for event in recorded:
            fields = {name: value for name, value in event.items() if name not in ("kind", "ts")}
            log.emit(event["kind"], **fields)
    return path


def step_of_version_2(rollout_id: str, step: Step) -> rows.Row:
    """A row of steps as versions 1 and 2 had them."""
    texts = {name: getattr(step, name) for name in ("raw", "result")}
    objects = {name: getattr(step, name) for name in ("new_messages", "action")}
    spelled = {
        name: None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in objects.items()
    }
    row = rows.step_row(rollout_id, step) | texts | spelled
    return {name: rows.storable(value) for name, value in row.items()}


def older(path: Path, version: int, *recorded: Rollout) -> None:
    """A store as that version made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path, config={"default_block_size": "16384"}) as old:
        old.execute((HERE / f"store_{version}_schema.sql").read_text())
        old.execute((HERE / f"store_{version}_views.sql").read_text())
        facts = {"format": connection.FORMAT, "schema_version": str(version), "views_sha256": f"of version {version}"}
        old.executemany("INSERT INTO meta VALUES (?, ?)", list(facts.items()))
        for each in recorded:
            tables = {
                "runs": [rows.run_row(each)],
                "rollouts": [rows.rollout_row(each)],
                "steps": [step_of_version_2(each.rollout_id, step) for step in each.trajectory],
                "test_runs": [rows.test_run_row(each.rollout_id, n, test) for n, test in enumerate(each.tests)],
            }
            for table, new in tables.items():
                columns = [name for name, *_ in old.execute(f"DESCRIBE {table}").fetchall()]
                for row in new:
                    values = ", ".join("?" * len(columns))
                    old.execute(f"INSERT OR IGNORE INTO {table} VALUES ({values})", [row[column] for column in columns])
