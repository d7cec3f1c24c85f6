"""This project: a pytest session whose model knows its six replies by heart, traces and store included."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import work

from pytest_repoagent.models.base import Conversation, Reply, RolloutKey
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.store.reader import query

STORE = "store.duckdb"


class Recited:
    """A model that says the same six things in every rollout."""

    def __init__(self, latency_s: float, concurrency: int) -> None:
        self.latency_s = latency_s
        self.concurrency = concurrency

    def check(self) -> None:
        """There is nothing to be wrong."""

    def start(self, key: RolloutKey) -> Conversation:
        """A conversation from the first reply."""
        return _Conversation(iter(work.REPLIES), self.latency_s)


class _Conversation:
    def __init__(self, replies: Iterator[str], latency_s: float) -> None:
        self.replies = replies
        self.latency_s = latency_s

    def reply(self, messages: Sequence[Message]) -> Reply:
        if self.latency_s:
            time.sleep(self.latency_s)
        return Reply(next(self.replies), "stop")


class Models:
    """The plugin that brings it."""

    def __init__(self, model: Recited) -> None:
        self.model = model

    def pytest_repoagent_models(self) -> Mapping[str, object]:
        """``recited:NAME``."""
        return {"recited": lambda name, context: self.model}


def run(folder: Path, rollouts: int, concurrency: int, latency_s: float) -> int:
    """All rollouts, as the items of one session."""
    files = {**work.repository(), "conftest.py": "", "python_testcases/test_alpha.py": "def test_alpha():\n    pass\n"}
    fixed = {f"correct_{work.BUGGY}": work.FIXED}
    for path, text in {**files, **fixed}.items():
        (folder / "bugs" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "bugs" / path).write_text(text)
    task = {
        "task_id": "bench/alpha",
        "family": "alpha",
        "goal": work.GOAL,
        "command": ["python", "-m", "pytest", "python_testcases/test_alpha.py"],
        "files": {path: _sha256(text) for path, text in files.items()},
        "editable": ["python_programs/"],
        "expected_files": [work.BUGGY],
        "fix": {work.BUGGY: _sha256(work.FIXED)},
        "expected_tests": {"passed": 1},
        "metadata": {"difficulty": "easy", "category": "numbers", "defect_class": "incorrect operator"},
    }
    suite = {"schema": 1, "name": "bench", "source": "quixbugs", "split": "heldout", "tasks": [task]}
    (folder / "bench.json").write_text(json.dumps(suite))
    (folder / "test_items.py").write_text("def test_item(rollout):\n    assert rollout.outcome == 'final'\n")
    os.chdir(folder)
    options = [
        *("-q", "-p", "no:cacheprovider", "--suite=bench.json", "--quixbugs=bugs", "--model=recited:x"),
        *("--test-policy=never", f"--store={STORE}", f"--rollouts={rollouts}", f"--concurrency={concurrency}"),
        "test_items.py",
    ]
    status = pytest.main(options, plugins=[Models(Recited(latency_s, concurrency))])
    [(done, steps)] = query(folder / STORE, "SELECT count(*), sum(steps) FROM rollouts WHERE outcome = 'final'")[1]
    if status or (done, steps) != (rollouts, work.STEPS * rollouts):
        raise SystemExit(f"pytest ended with {status}; {done} rollouts of {steps} steps were recorded")
    return (folder / STORE).stat().st_size


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    work.main(run)
