"""Training files, and ``repoagent tune`` run on the loopback service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from together_server import BASE, TogetherServer, Tuning

from builders.tuning import api, endpoint, files, submit, watch
from pytest_repoagent.cli import main
from pytest_repoagent.store import reader

KEY = "key-0123456789abcdef"
ACTION = '{"type":"final","summary":"done","changes":[]}'


def sft_file(folder: Path, rows: int = 4, name: str = "train.jsonl") -> Path:
    def row(goal: int) -> dict[str, Any]:
        turns = [("system", "s", 0), ("user", f"GOAL: {goal}", 0), ("assistant", ACTION, 1)]
        return {"messages": [{"role": role, "content": text, "weight": weight} for role, text, weight in turns]}

    return _write(folder / name, [row(goal) for goal in range(rows)])


def pairs_file(folder: Path, rows: int = 4) -> Path:
    def row(goal: int) -> dict[str, Any]:
        return {
            "input": {"messages": [{"role": "user", "content": f"GOAL: {goal}"}]},
            "preferred_output": [{"role": "assistant", "content": ACTION}],
            "non_preferred_output": [{"role": "assistant", "content": "I will look."}],
        }

    return _write(folder / "pairs.jsonl", [row(goal) for goal in range(rows)])


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@contextmanager
def service(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, naps: bool = False, **options: Any
) -> Iterator[TogetherServer]:
    """The service, the environment that leads to it, and ``folder`` as the current one; nobody naps unless asked to."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("TOGETHER_CUSTOM_HEADERS", "TOGETHER_PROJECT_ID", "REPOAGENT_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    monkeypatch.chdir(folder)
    if not naps:
        for module in (api, endpoint, files, submit, watch):
            monkeypatch.setattr(module, "sleep", lambda seconds: None)
    with TogetherServer(api_key=KEY, **options) as server:
        monkeypatch.setenv("TOGETHER_BASE_URL", server.url)
        yield server


def tune(*words: str) -> int:
    return main(["tune", *words])


def sft(*words: str, data: str = "train.jsonl", model: str = BASE) -> int:
    """Submit a supervised job on ``train.jsonl`` that may cost a dollar."""
    return tune("together", "sft", data, "--model", model, "--max-usd", "1", *words)


def completed(server: TogetherServer) -> str:
    """Submit the supervised job and see it through; returns its id."""
    assert sft("--watch") == 0
    return next(iter(server.jobs))


def finished(server: TogetherServer) -> str:
    """A completed job that was submitted from elsewhere; returns its id."""
    job = Tuning("ft-12345678-9abc", {"suffix": "elsewhere"}, BASE, 0.5, ["completed"])
    server.jobs[job.id] = job
    return job.id


def process(*words: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "pytest_repoagent.cli", "tune", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ, start_new_session=True
    )


def row(job_id: str) -> dict[str, Any]:
    """A job's row in the default store."""
    [found] = reader.query_dicts(Path(".repoagent/store.duckdb"), "FROM jobs WHERE job_id = ?", [job_id])
    return found
