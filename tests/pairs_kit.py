"""Recorded rollouts for the tests of pairs: the real harness at a few bundled bugs, with a runner that compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_repoagent import bundled
from pytest_repoagent.engine import Engine
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Action, Final, Message, ToolCall, canonical
from pytest_repoagent.registry import built_in
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.settings import make_settings
from pytest_repoagent.store.writer import StoreWriter
from pytest_repoagent.suites import Suite, find_suite, load_suite
from pytest_repoagent.testrun.base import Job, Verdict


class Comparing:
    """A test runner that runs nothing: the tests pass where the candidate is a known fix."""

    name = "comparing"
    sandbox = "none"

    def __init__(self, fixes: Sequence[Mapping[str, str]]) -> None:
        self.fixes = [dict(fix) for fix in fixes]
        self.jobs: list[Job] = []

    def check(self) -> None: ...

    def close(self) -> None: ...

    def run(self, job: Job) -> Verdict:
        self.jobs.append(job)
        passed = dict(job.candidate) in self.fixes
        counts = {"passed" if passed else "failed": job.expected_passed}
        text = f"{job.expected_passed} {'passed' if passed else 'failed'}"
        return Verdict(passed, "passed" if passed else "failed", counts, (), text, 0.0, 0.0, self.name)


def suite(side: str = "train", names: Sequence[str] | None = None) -> Suite:
    """The bundled minibugs; by default the first four."""
    whole = load_suite(find_suite(f"minibugs_{side}", [bundled.suites_dir()]))
    tasks = [task for task in whole.tasks if names is None or task.name in names]
    return replace(whole, tasks=tuple(tasks if names else tasks[:4]))


def fill(store: Path, models: Sequence[str], tasks: Suite | None = None, **settings: Any) -> list[Rollout]:
    """Run models at tasks and record what they did."""
    tasks = tasks or suite()
    registry = built_in()
    source = registry.source(tasks, None)
    comparing = Comparing([source.fix(task) for task in tasks.tasks])
    registry = replace(registry, runners={"comparing": lambda sandbox: comparing})
    given = {"model": list(models), "store": store, "runner": "comparing", "suite": tasks.name, **settings}
    engine = Engine(make_settings(given), tasks, registry, _run_id(models, given), "2026-11-20T10:00:00+00:00")
    rollouts = [engine.run(key) for key in engine.keys()]  # noqa: SIM118 - no mapping
    StoreWriter(store).write(rollouts)
    return rollouts


def _run_id(models: Sequence[str], given: Mapping[str, Any]) -> str:
    return f"{'+'.join(models)}-{given.get('seed', 0)}".replace(":", "_").replace("@", "_")


def read(path: str = "a.py", max_chars: int = 4000) -> ToolCall:
    return ToolCall("read_file", {"rel_path": path, "max_chars": max_chars})


def write(content: str, path: str = "a.py") -> ToolCall:
    return ToolCall("write_file", {"rel_path": path, "content": content})


def grep(pattern: str = "def ", rel_dir: str = ".", max_hits: int = 20) -> ToolCall:
    return ToolCall("grep", {"pattern": pattern, "rel_dir": rel_dir, "max_hits": max_hits})


def look(rel_dir: str = ".", max_files: int = 200) -> ToolCall:
    return ToolCall("list_files", {"rel_dir": rel_dir, "max_files": max_files})


def final(summary: str = "done") -> Final:
    return Final(summary, ())


PROGRAM = "def area(w, h):\n    # two sides\n    return w + h\n"
FIXED = PROGRAM.replace("+", "*")


def talk(*turns: tuple[Action | str, str], goal: str = "Fix a.py so that test_a.py passes.") -> list[Message]:
    """The prompt after these turns: each an action, or a raw reply, and what came of it (``write_file``: the tests)."""
    messages = render.opening(goal)
    for said, result in turns:
        raw = said if isinstance(said, str) else canonical(said)
        messages.append({"role": "assistant", "content": raw})
        if isinstance(said, str):
            messages.append({"role": "user", "content": result})
        elif isinstance(said, ToolCall) and said.name == "write_file" and result in ("PASS", "FAIL"):
            done = f"Wrote {said.args['rel_path']} ({len(str(said.args['content']))} chars)."
            messages.append(render.tool_reply(done, tests=render.test_report(result == "PASS", "1 test")))
        else:
            messages.append(render.tool_reply(result))
    return messages
