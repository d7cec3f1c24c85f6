"""Rollouts for the builders' tests, made of real actions, real tool results and the real renderer's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_repoagent import trace
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store.writer import StoreWriter

LIST = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":200}}'
FINAL = '{"type":"final","summary":"done","changes":[]}'
PROGRAM = "def total(numbers):\n    return sum(numbers) + 1\n"
GOOD = "def total(numbers):\n    return sum(numbers)\n"
OTHER_REPLY = (
    "texts = concat(new_messages, chr(30), action, chr(30), coalesce(to_json(result), 'null'), chr(30), raw, ' ')"
)
"""For UPDATE steps SET: the same step with a blank after the reply."""


def call(name: str, **args: Any) -> str:
    return json.dumps({"type": "tool_call", "name": name, "args": args}, ensure_ascii=False, separators=(",", ":"))


def read(path: str = "total.py") -> str:
    return call("read_file", rel_path=path, max_chars=4000)


def write(content: str = GOOD, path: str = "total.py") -> str:
    return call("write_file", rel_path=path, content=content)


def events(
    replies: Sequence[str],
    *,
    task: str = "own/total",
    family: str | None = None,
    split: str | None = "train",
    model: str = "builtin:teacher",
    run: str = "run1",
    index: int = 0,
    success: bool | None = True,
    outcome: str = "final",
    cause: str | None = None,
    window: str = "full",
    results: Mapping[int, str] = {},
    refused: Mapping[int, str] = {},
    flags: Mapping[int, Sequence[str]] = {},
    goal: str | None = None,
) -> Iterator[dict[str, Any]]:
    """The events of a rollout in which a model gave these replies.

    ``results`` are what tools said by step, ``refused`` the codes of calls that were refused by step.
    """
    yield {
        "kind": "run_start",
        "ts": "2026-11-20T10:00:00.125+00:00",
        "schema": trace.SCHEMA,
        "rollout_id": f"{run}-{task}-{model}-{index}",
        "run_id": run,
        "task_id": task,
        "model": model,
        "index": index,
        "seed": index,
        "attempt": 0,
        "run": {"started_at": "2026-11-20T09:59:59+00:00", "split": split, "source": task.partition("/")[0]},
        "task": {"family": family or task.partition("/")[2], "metadata": {}, "expected_files": ["total.py"]},
    }
    messages: list[Message] = render.opening(goal or f"Fix {task}.")
    new = messages[:]
    for step, raw in enumerate(replies):
        prompt = render.prompt_sha256(render.apply_window(messages, window))
        yield {"kind": "llm_request", "step": step, "new_messages": new, "window": window, "prompt_sha256": prompt}
        parsed = parse(raw)
        action = parsed.action.to_json() if parsed.action else None
        yield {
            "kind": "llm_action",
            "step": step,
            "raw": raw,
            "finish_reason": "stop",
            "action": action,
            "error_code": parsed.error.code if parsed.error else None,
            "error_message": parsed.error.message if parsed.error else None,
            "strict_valid": parsed.action is not None,
            "lenient_valid": parsed.action is not None or parsed.repaired is not None,
            "flags": list(flags.get(step, ())),
            "prompt_tokens": None,
            "completion_tokens": None,
            "latency_s": 0.1,
            "extra": {},
        }
        if parsed.error:
            reply = render.parse_error_reply(parsed.error)
        else:
            code = refused.get(step)
            text = render.refusal(code, "no") if code else results.get(step, PROGRAM)
            reply = render.tool_reply(text)
            if action and action["type"] == "tool_call":
                result = {"ok": code is None, "code": code, "content": text, "duration_s": 0.0}
                yield {"kind": "tool_result", "step": step, **result}
        new = [reply]
        messages = [*messages, {"role": "assistant", "content": raw}, reply]
    yield {
        "kind": "run_end",
        "outcome": outcome,
        "success": success,
        "error": cause and "it broke",
        "cause": cause,
        "duration_s": 1.0,
        "diff": "",
        "files_touched": [],
        "loop_detections": 0,
        "reflection_count": 0,
        "cost_usd": None,
    }


def rollout(replies: Sequence[str] = (LIST, read(), write(), FINAL), **facts: Any) -> Rollout:
    """The record of :func:`events`."""
    return fold(events(replies, **facts), "a.jsonl")


def train_rollout(number: int) -> Rollout:
    """A rollout of a training task and family of its own."""
    return rollout([LIST, read(f"{number}.py"), write(f"x = {number}\n"), FINAL], task=f"own/task{number}")


def store(path: Path, *rollouts: Rollout) -> Path:
    """A store with these rollouts, in this order."""
    StoreWriter(path).write(rollouts)
    return path


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in file.read_text().splitlines()]
