"""How many bytes a step takes in the store, where every rollout reads and writes other text.

The text is real, Python's own standard library: each rollout has a program and a test of its own out of it, reads both,
writes the program twice with lines changed, and thinks in sentences out of docstrings. Half the rollouts have blanks in
their JSON, a third of them fail. They are recorded in bursts as a run records them, so the file is what a run of that
size leaves behind. Prints Markdown.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import random
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pytest_repoagent import trace
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.recorder import BURST_SIZE
from pytest_repoagent.settings import Settings
from pytest_repoagent.store.reader import query
from pytest_repoagent.store.writer import StoreWriter

PROGRAM = "python_programs/subject.py"
TEST = "python_testcases/test_subject.py"
TASKS = 40
VERSIONS = {"pytest-repoagent": "0.1.0", "python": "3.11.9", "pytest": "9.0.1", "duckdb": "2.0.0"}


def main() -> None:
    """Record rollouts, and print what a step came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, nargs="+", default=[100, 1000, 5000])
    print(
        "| rollouts | steps | bytes a step | of the traces | CPU ms a step to write |\n| --- | --- | --- | --- | --- |"
    )
    for rollouts in parser.parse_args().rollouts:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store.duckdb"
            text, seconds = fill(store, rollouts)
            [[steps]] = query(store, "SELECT count(*) FROM steps")[1]
            size = store.stat().st_size
        figures = f"{size / steps:,.0f} | {text / steps:,.0f} | {1000 * seconds / steps:.2f}"
        print(f"| {rollouts:,} | {steps:,} | {figures} |", flush=True)


def fill(store: Path, rollouts: int) -> tuple[int, float]:
    """Make the store; returns the bytes of the traces that it was made from, and CPU seconds of writing."""
    writer = StoreWriter(store)
    text, seconds = 0, 0.0
    for start in range(0, rollouts, BURST_SIZE):
        batch = [list(events(number)) for number in range(start, min(start + BURST_SIZE, rollouts))]
        text += sum(len(json.dumps(event, separators=(",", ":"))) + 1 for lines in batch for event in lines)
        recorded = [fold(lines, f".repoagent/traces/run/{lines[0]['rollout_id']}.jsonl") for lines in batch]
        began = time.process_time()
        writer.write(recorded)
        seconds += time.process_time() - began
    return text, seconds


def events(number: int) -> Iterator[dict[str, Any]]:
    """The trace of one rollout."""
    random_ = random.Random(number)
    program, test = _excerpt(random_, 45), _excerpt(random_, 30)
    first, second = _changed(program, random_), _changed(program, random_)
    listing = "\n".join(str(path.name) for path in random_.sample(_files(), 25))
    failure = f"[TESTS FAIL] 2 failed, 5 passed\n{_failure(random_)}"
    done = "[TESTS PASS] 7 passed" if number % 3 else failure
    final = {"path": PROGRAM, "description": _sentence(random_)}
    turns: list[tuple[dict[str, Any], str, str | None]] = [
        (_call("list_files", random_, rel_dir=".", max_files=200), listing, None),
        (_call("read_file", random_, rel_path=PROGRAM, max_chars=4000), program, None),
        (_call("read_file", random_, rel_path=TEST, max_chars=4000), test, None),
        (_call("grep", random_, pattern=program.split()[0], rel_dir=".", max_hits=20), _hits(random_), None),
        (_call("write_file", random_, rel_path=PROGRAM, content=first), f"wrote {len(first)} characters", failure),
        (_call("read_file", random_, rel_path=PROGRAM, max_chars=4000), first, None),
        (_call("write_file", random_, rel_path=PROGRAM, content=second), f"wrote {len(second)} characters", done),
        ({"type": "final", "summary": _sentence(random_), "changes": [final]}, "", None),
    ]
    task = f"bench/task{number % TASKS}"
    rollout_id = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    settings = Settings(model=("bench:reader",)).recorded()
    yield {
        "kind": "run_start",
        "ts": f"2026-11-20T10:{number // 1000 % 60:02}:00.{number % 1000:03}+00:00",
        "schema": trace.SCHEMA,
        "rollout_id": rollout_id,
        "run_id": "20261120-100000-abcdef",
        "task_id": task,
        "model": "bench:reader",
        "index": number // TASKS,
        "seed": number,
        "attempt": 0,
        "run": {
            "settings": settings,
            "settings_hash": "0" * 16,
            "suite": "bench",
            "suite_sha256": hashlib.sha256(b"bench").hexdigest(),
            "split": "train",
            "source": "minibugs",
            "commit": None,
            "versions": VERSIONS,
            "started_at": "2026-11-20T09:59:59+00:00",
            "runner": "warm",
            "sandbox": "full",
        },
        "task": {
            "family": task,
            "metadata": {"difficulty": "easy", "category": "text", "defect_class": "wrong_argument"},
            "expected_files": [PROGRAM],
        },
    }
    new = render.opening(f"Fix the bug in {PROGRAM} of {task} so that {TEST} passes.")
    messages: list[Message] = []
    for step, (action, result, tests) in enumerate(turns):
        messages = [*messages, *new]
        yield {
            "kind": "llm_request",
            "step": step,
            "new_messages": new,
            "window": "full",
            "prompt_sha256": render.prompt_sha256(messages),
        }
        raw = json.dumps(action, separators=(",", ":") if number % 2 else None)
        parsed = parse(raw).action
        assert parsed is not None, raw
        yield {
            "kind": "llm_action",
            "step": step,
            "raw": raw,
            "finish_reason": "stop",
            "action": parsed.to_json(),
            "error_code": None,
            "error_message": None,
            "strict_valid": True,
            "lenient_valid": True,
            "repair": None,
            "flags": [],
            "prompt_tokens": 500 * step + random_.randrange(500),
            "completion_tokens": random_.randrange(30, 600),
            "latency_s": random_.uniform(0.5, 9),
            "extra": {"id": random_.randbytes(8).hex()},
        }
        if action["type"] == "tool_call":
            taken = {"duration_s": random_.uniform(0.0001, 0.002)}
            yield {"kind": "tool_result", "step": step, "ok": True, "code": None, "content": result, **taken}
        shown = f"[tool_result]\n{result}"
        if tests is not None:
            yield _tests(step, tests, random_)
            shown = f"{shown}\n{tests}"
        messages.append({"role": "assistant", "content": raw})
        new = [{"role": "user", "content": shown}]
    yield _tests(None, done, random_)
    yield {"kind": "final", "step": len(turns) - 1, "summary": turns[-1][0]["summary"], "changes": []}
    yield {
        "kind": "run_end",
        "outcome": "final",
        "success": done != failure,
        "error": None,
        "cause": None,
        "duration_s": random_.uniform(5, 60),
        "diff": f"--- a/{PROGRAM}\n+++ b/{PROGRAM}\n@@ -1,45 +1,45 @@\n{_diff(program, second)}",
        "files_touched": [PROGRAM],
        "loop_detections": 0,
        "reflection_count": 0,
        "cost_usd": random_.uniform(0.001, 0.02),
    }


def _call(name: str, random_: random.Random, **args: Any) -> dict[str, Any]:
    return {"type": "tool_call", "name": name, "args": {**args, "thought": _sentence(random_)}}


def _tests(step: int | None, text: str, random_: random.Random) -> dict[str, Any]:
    passed = "PASS" in text
    return {
        "kind": "test_run",
        "step": step,
        "passed": passed,
        "reason": "passed" if passed else "failed",
        "counts": {"passed": 7} if passed else {"failed": 2, "passed": 5},
        "text": text,
        "duration_s": random_.uniform(0.02, 0.1),
        "cpu_s": random_.uniform(0.02, 0.1),
        "runner": "warm",
        "judge": "split",
        "sandbox": "full",
    }


@cache
def _files() -> list[Path]:
    """Modules of the standard library with something to read."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return [path for path in paths if path.stat().st_size > 10_000 and path.read_bytes().isascii()]


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@cache
def _sentences() -> list[str]:
    found = []
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                found += [" ".join(part.split()) for part in text.split(". ")]
    return sorted({part for part in found if 40 < len(part) < 300})


def _sentence(random_: random.Random) -> str:
    return ". ".join(random_.sample(_sentences(), 2))


def _excerpt(random_: random.Random, length: int) -> str:
    lines = _lines(random_.choice(_files()))
    start = random_.randrange(len(lines) - length)
    return "\n".join(lines[start : start + length]) + "\n"


def _changed(program: str, random_: random.Random) -> str:
    lines = program.splitlines()
    for _ in range(3):
        lines[random_.randrange(len(lines))] = random_.choice(_lines(random_.choice(_files())))
    return "\n".join(lines) + "\n"


def _hits(random_: random.Random) -> str:
    return "\n".join(f"{PROGRAM}:{random_.randrange(99)}:{line}" for line in _excerpt(random_, 5).splitlines())


def _failure(random_: random.Random) -> str:
    one, other = random_.randrange(10**6), random_.randrange(10**6)
    return f"{_excerpt(random_, 6)}E       assert {one} == {other}\n{TEST}:{random_.randrange(40)}: AssertionError\n"


def _diff(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return "\n".join(f" {a}" if a == b else f"-{a}\n+{b}" for a, b in pairs) + "\n"


if __name__ == "__main__":
    main()
