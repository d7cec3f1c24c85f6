"""Processes of a run are killed at random, over and over, while its model's server fails in every way it can.

CHAOS_KILLS says how many kills there are, CHAOS_SEED which; `make chaos` runs hundreds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import eval_kit
import pytest
from loopback import Answer, LoopbackServer
from process_kit import descendants

from pytest_repoagent.store.reader import query

KILLS = int(os.environ.get("CHAOS_KILLS", "4"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
ROLLOUTS = 3
ACTIONS = (
    {"type": "tool_call", "name": "list_files", "args": {"rel_dir": ".", "max_files": 9}},
    {"type": "tool_call", "name": "grep", "args": {"pattern": "def", "rel_dir": ".", "max_hits": 9}},
    {"type": "tool_call", "name": "list_files", "args": {"rel_dir": "python_programs", "max_files": 9}},
    {"type": "final", "summary": "done", "changes": []},
)


class Flaky:
    """A model that takes its time, on a server of which a third of the answers are none."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def __call__(self, body: dict[str, Any]) -> Answer:
        step = (len(body["messages"]) - 2) // 2
        answer = Answer(json.dumps(ACTIONS[step]), delay_s=self.chance.uniform(0.0, 0.2))
        faults = [
            Answer("slow down", status=429, headers={"Retry-After": "0.1"}),
            Answer("slow down", status=429),
            Answer("broken", status=500),
            Answer(fault="reset"),
            Answer(json.dumps(ACTIONS[step]), fault="truncate"),
            Answer("too late", delay_s=1.5),
        ]
        return self.chance.choice(faults) if self.chance.random() < 0.33 else answer


def start(folder: Path, url: str, processes: int, concurrency: int, *args: str) -> subprocess.Popen[bytes]:
    """A session; what it says goes into a file."""
    command = [sys.executable, "-m", "pytest", "-q", *eval_kit.COMMON, "--model=openai:tiny", f"--base-url={url}"]
    command += ["--test-policy=never", f"--rollouts={ROLLOUTS}", "--request-timeout=1", "--retries=20"]
    command += [f"-n{processes}", f"--concurrency={concurrency}", *args, "test_items.py"]
    with (folder / "sessions.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def ends(session: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> bool:
    """Whether the session ends before some time has passed, or some more rollouts were finished."""
    more = len(finished(folder)) + chance.randint(1, 8) if chance.random() < 0.6 else None
    deadline = time.monotonic() + (chance.uniform(0.1, 3.0) if more is None else 10.0)
    while session.poll() is None and time.monotonic() < deadline and (more is None or len(finished(folder)) < more):
        time.sleep(0.05)
    return session.poll() is not None


def kill_some(session: subprocess.Popen[bytes], folder: Path, chance: random.Random, kills: Counter[str]) -> None:
    """Kill processes of the session until it ends."""
    while kills.total() < KILLS and not ends(session, folder, chance):
        below = list(descendants(session.pid))
        what = chance.choice(["controller", "worker", "worker", "all"] if below else ["controller"])
        victims = {"controller": [session.pid], "worker": [chance.choice(below or [0])], "all": [session.pid, *below]}
        for victim in victims[what]:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        kills[what] += 1
    session.wait()


def recorded(folder: Path) -> list[str]:
    """The rollouts in the store; it can be opened, whatever was killed."""
    store = folder / ".repoagent/store.duckdb"
    return [row[0] for row in query(store, "SELECT rollout_id FROM rollouts")[1]] if store.exists() else []


def finished(folder: Path) -> list[str]:
    """The rollouts that a trace shows the end of."""
    found = []
    for path in (folder / ".repoagent/traces").glob("*/*.jsonl"):
        lines = path.read_bytes().splitlines()
        if lines and b'"kind":"run_end"' in lines[-1]:
            found.append(json.loads(lines[0])["rollout_id"])
    return found


def test_whatever_is_killed_nothing_is_lost_or_counted_twice(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    eval_kit.make_project(pytester, eval_kit.NAMES)
    folder, chance, kills, runs = pytester.path, random.Random(SEED), Counter[str](), 0
    with LoopbackServer(Flaky(random.Random(SEED)), models=["tiny"]) as server:
        going_on: list[str] = []
        before: set[str] = set()
        while kills.total() < KILLS or going_on:
            spared = kills.total() >= KILLS
            size = (2, 8) if spared else (chance.choice([0, 1, 2, 3]), chance.choice([1, 4, 16]))
            session = start(folder, server.url, *size, *going_on)
            kill_some(session, folder, chance, kills)
            now = set(recorded(folder))
            assert before <= now
            before = now
            begun = len(list(folder.glob(".repoagent/traces/*/run.json")))
            if session.returncode == 0:
                going_on = []
                runs += 1
                assert begun == runs
            elif begun > runs:
                going_on = ["--resume=last", "--rerun-errors"]
            if spared and session.returncode:
                pytest.fail((folder / "sessions.log").read_text()[-4000:])
    rows = eval_kit.stored(
        pytester,
        "SELECT run_id, task_id, rollout, count(*) FROM rollouts WHERE counted AND outcome = 'final' GROUP BY ALL",
    )
    assert len(rows) == runs * ROLLOUTS * len(eval_kit.NAMES)
    assert {row[3] for row in rows} == {1}
    assert sorted(finished(folder)) == sorted(recorded(folder))
    whole = "SELECT count(*) FROM steps s WHERE s.rollout_id = r.rollout_id"
    torn = eval_kit.stored(pytester, f"SELECT rollout_id FROM rollouts r WHERE steps <> ({whole})")
    assert torn == []
    with capsys.disabled():
        print(f"\n{runs} runs of {ROLLOUTS * len(eval_kit.NAMES)} rollouts; killed: {dict(kills)}")
