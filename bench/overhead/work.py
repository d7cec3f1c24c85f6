"""The same small work for every harness: six steps on its own view of a repository of a hundred files.

Imports nothing but the standard library: every harness runs in an interpreter of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = 100
BUGGY = "python_programs/alpha.py"
BROKEN = "def alpha(n):\n    return n - 1\n"
FIXED = "def alpha(n):\n    return n + 1\n"
GOAL = f"Fix the bug in {BUGGY}."
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list_files", {"rel_dir": ".", "max_files": 200}),
    ("grep", {"pattern": "def alpha", "rel_dir": ".", "max_hits": 20}),
    ("read_file", {"rel_path": BUGGY, "max_chars": 4000}),
    ("write_file", {"rel_path": BUGGY, "content": FIXED}),
    ("read_file", {"rel_path": "python_programs/m07.py", "max_chars": 4000}),
)
FINAL = {"type": "final", "summary": "alpha returned n - 1", "changes": [{"path": BUGGY, "description": "the sign"}]}
ACTIONS = [*({"type": "tool_call", "name": name, "args": given} for name, given in CALLS), FINAL]
REPLIES = [json.dumps(action, separators=(",", ":")) for action in ACTIONS]
STEPS = len(REPLIES)


def repository() -> dict[str, str]:
    """The files by their paths, about 800 bytes each but for the buggy one."""
    body = "(n):\n    total = 0\n    for i in range(n):\n        total += i * i\n    return total\n\n\n"
    files = {
        f"python_programs/m{number:02}.py": "".join(f"def m{number:02}_{letter}{body}" for letter in "abcdefgh")
        for number in range(FILES - 1)
    }
    return {BUGGY: BROKEN, **files}


def make(folder: Path) -> Path:
    """Write the repository into ``folder``."""
    for path, text in repository().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def call_tool(root: Path, name: str, given: dict[str, Any]) -> str:
    """The plainest tools there can be, on files below ``root``."""
    if name == "list_files":
        return "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))
    if name == "grep":
        hits = []
        for path in sorted(root.rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if given["pattern"] in line:
                    hits.append(f"{path.relative_to(root)}:{number}:{line}")
        return "\n".join(hits)
    path = root / str(given["rel_path"])
    if name == "read_file":
        return path.read_text()
    path.write_text(given["content"])
    return "ok"


def check(root: Path) -> None:
    """Make sure that a rollout did its work below ``root``."""
    if (root / BUGGY).read_text() != FIXED:
        raise SystemExit(f"{root}: the bug was not fixed")


def main(run: Callable[[Path, int, int, float], int]) -> None:
    """Run a harness as the command line says and print what it took, as JSON.

    ``run(folder, rollouts, concurrency, latency_s)`` does the rollouts below an empty folder and returns the bytes that
    it recorded.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rollouts", type=int)
    parser.add_argument("concurrency", type=int)
    parser.add_argument("latency_s", type=float)
    given = parser.parse_args()
    before, began = _cpu(resource.RUSAGE_SELF), time.perf_counter()
    recorded = run(given.folder, given.rollouts, given.concurrency, given.latency_s)
    wall = time.perf_counter() - began
    taken = {
        "wall_s": wall,
        "cpu_s": _cpu(resource.RUSAGE_SELF) - before,
        "children_cpu_s": _cpu(resource.RUSAGE_CHILDREN),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "recorded_bytes": recorded,
        "threads": threading.active_count(),
    }
    print(json.dumps(taken), flush=True)
    os._exit(0)  # what is imported by now may take seconds to leave


def size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
