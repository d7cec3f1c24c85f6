"""The process whose runner is attacked: reads jobs from standard input, a JSON object a line, and answers each.

A process of its own, so that an attack may kill it, that its environment can hold a key from the start, and that each
level of the sandbox is probed anew.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from pytest_repoagent.testrun.base import Job, Limits, Runner


def make_runner(name: str, mode: str) -> Runner:
    if name == "subprocess":
        from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

        return SubprocessRunner()
    from pytest_repoagent.testrun.warm_runner import WarmRunner

    return WarmRunner(mode)  # type: ignore[arg-type]


def answer(runner: Runner, request: dict[str, Any]) -> dict[str, Any]:
    job = Job(
        root=Path(request["root"]),
        paths=tuple(request["paths"]),
        candidate=request["candidate"],
        command=tuple(request["command"]),
        expected_passed=request["expected_passed"],
        limits=Limits(**request["limits"]),
        editable=tuple(request["editable"]),
    )
    try:
        return {"verdict": dataclasses.asdict(runner.run(job))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Serve until standard input ends; arguments are the runner's name and the sandbox mode."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    runner = make_runner(*sys.argv[1:3])
    try:
        runner.check()
        print(json.dumps({"sandbox": runner.sandbox}), file=out, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(runner, json.loads(line))), file=out, flush=True)
    finally:
        runner.close()


if __name__ == "__main__":
    main()
