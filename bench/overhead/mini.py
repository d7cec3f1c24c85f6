"""mini-swe-agent: its default agent and local environment, the same six steps as shell commands."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ["MSWEA_SILENT_STARTUP"] = "1"

import work
from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.test_models import DeterministicModel, make_output

COMMANDS = (
    "find . -type f | sort",
    "grep -rn 'def alpha' .",
    f"cat {work.BUGGY}",
    f"printf %s {shlex.quote(work.FIXED)} > {work.BUGGY}",
    "cat python_programs/m07.py",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT",
)


class Slow(DeterministicModel):
    """The scripted model of its own tests, which answers after a while."""

    latency_s = 0.0

    def query(self, messages: list[dict[str, Any]], **kwargs: Any) -> dict[str, Any]:
        """The next output."""
        if self.latency_s:
            time.sleep(self.latency_s)
        return super().query(messages, **kwargs)


def run(folder: Path, rollouts: int, concurrency: int, latency_s: float) -> int:
    """All rollouts, in threads, each trajectory saved once at its end, as in its batch mode."""
    logging.disable(logging.WARNING)
    source = work.make(folder / "source")
    logs = folder / "logs"
    Slow.latency_s = latency_s

    def rollout(index: int) -> None:
        root = folder / str(index)
        shutil.copytree(source, root)
        outputs = [
            make_output(text, [{"command": command}], 0.0) for text, command in zip(work.REPLIES, COMMANDS, strict=True)
        ]
        agent = DefaultAgent(
            Slow(outputs=outputs),
            LocalEnvironment(cwd=str(root)),
            system_template="Answer with one shell command.",
            instance_template="{{task}}",
        )
        if agent.run(work.GOAL)["exit_status"] != "Submitted":
            raise SystemExit("mini-swe-agent did not submit")
        agent.save(logs / f"{index}.traj.json")
        work.check(root)
        shutil.rmtree(root)

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(rollout, range(rollouts)))
    return work.size(logs)


if __name__ == "__main__":
    work.main(run)
