"""Synthetic rollouts for ``bench/sft_speed.py``: the same ones as rows of a store and as trace files.

They are like real ones in what costs time: the real system prompt, programs that are read again and again, writes that
are all different, every tenth reply invalid, and a quarter of the rollouts without success.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_repoagent import trace
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message, ToolCall, canonical
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.store.writer import StoreWriter

BATCH = 1000
PER_TASK = 25
BAD = '{"type":"tool_call","name":"write_file","args":{}}'
LINES = [f"    value_{number} = compute(value_{number // 2}, {number})" for number in range(500)]


def make(folder: Path, rollouts: int, steps: int) -> tuple[Path, Path]:
    """Write ``rollouts`` rollouts of ``steps`` steps: the store, and the folder of traces, a folder per batch."""
    store, traces = folder / "store.duckdb", folder / "traces"
    writer = StoreWriter(store)
    for start in range(0, rollouts, BATCH):
        batch = traces / f"{start:07}"
        batch.mkdir(parents=True)
        recorded = []
        for number in range(start, min(start + BATCH, rollouts)):
            events = list(_events(number, steps))
            path = batch / f"{number:07}.jsonl"
            lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events]
            path.write_text("\n".join(lines) + "\n")
            recorded.append(fold(events, str(path)))
        writer.write(recorded)
    return store, traces


def _events(number: int, steps: int) -> Iterator[dict[str, Any]]:
    random_ = random.Random(number)
    task = number // PER_TASK
    program = _program(random.Random(task))
    success = random_.random() < 0.75
    yield {
        "kind": "run_start",
        "ts": "2026-11-20T10:00:00.125+00:00",
        "schema": trace.SCHEMA,
        "rollout_id": f"{number:032x}",
        "run_id": f"run{number // 20000}",
        "task_id": f"bench/task{task}",
        "model": "bench:teacher",
        "index": number % PER_TASK,
        "seed": number,
        "attempt": 0,
        "run": {"started_at": "2026-11-20T09:59:59+00:00", "split": "train", "source": "minibugs", "suite": "bench"},
        "task": {"family": f"task{task}", "metadata": {}, "expected_files": ["src/area.py"]},
    }
    messages = new = render.opening(f"Fix src/task{task}.py so that tests/test_task{task}.py pass. Attempt {number}.")
    for step in range(steps):
        prompt = {"new_messages": new, "window": "full", "prompt_sha256": render.prompt_sha256(messages)}
        yield {"kind": "llm_request", "step": step, **prompt}
        raw = BAD if random_.random() < 0.1 else _reply(step, steps, random_)
        parsed = parse(raw)
        action = parsed.action
        yield {
            "kind": "llm_action",
            "step": step,
            "raw": raw,
            "finish_reason": "stop",
            "action": action.to_json() if action else None,
            "error_code": parsed.error.code if parsed.error else None,
            "error_message": parsed.error.message if parsed.error else None,
            "strict_valid": action is not None,
            "lenient_valid": action is not None,
            "repair": None,
            "flags": ["exact_repeat"] if random_.random() < 0.02 else [],
            "prompt_tokens": None,
            "completion_tokens": None,
            "latency_s": 0.25,
            "extra": {},
        }
        reply: Message
        if parsed.error:
            reply = render.parse_error_reply(parsed.error)
        else:
            text = program if isinstance(action, ToolCall) and action.name == "read_file" else f"src/area.py:{step}:def"
            reply = render.tool_reply(text)
            if isinstance(action, ToolCall):
                yield {
                    "kind": "tool_result",
                    "step": step,
                    "ok": True,
                    "code": None,
                    "content": text,
                    "duration_s": 0.0,
                }
        new = [reply]
        messages = [*messages, {"role": "assistant", "content": raw}, reply]
    yield {
        "kind": "run_end",
        "outcome": "final",
        "success": success,
        "error": None,
        "cause": None,
        "duration_s": 2.0,
        "diff": "",
        "files_touched": ["src/area.py"],
        "loop_detections": 0,
        "reflection_count": 0,
        "cost_usd": None,
    }


def _reply(step: int, steps: int, random_: random.Random) -> str:
    if step == steps - 1:
        return '{"type":"final","summary":"fixed the boundary","changes":[]}'
    if step % 3 == 2:
        return canonical(ToolCall("write_file", {"rel_path": "src/area.py", "content": _program(random_)}))
    if step % 3 == 1:
        return canonical(ToolCall("read_file", {"rel_path": f"src/area{random_.randrange(99)}.py", "max_chars": 4000}))
    return canonical(ToolCall("grep", {"pattern": f"def {random_.random()}", "rel_dir": ".", "max_hits": 20}))


def _program(random_: random.Random) -> str:
    return "\n".join(["def area(value_0):", *random_.choices(LINES, k=16), "    return value_0"]) + "\n"
