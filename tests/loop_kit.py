"""A project with two suites of few bugs, for tests of ``repoagent loop``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from builders.loop import walk
from pytest_repoagent.cli import main

ROOT = Path(__file__).parent.parent
STAGES = ["evaluate-base", "record-teacher", "build-sft", "tune-sft", "evaluate-sft"]
STAGES += ["branch", "build-pairs", "tune-dpo", "evaluate-dpo"]


def project(folder: Path) -> None:
    """The items, ``few_train.json`` and ``few_heldout.json``."""
    for path in ("conftest.py", "eval/test_heldout.py"):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    shutil.copy(ROOT / "eval/suites/minibugs_master.json", folder)
    _suite(folder, "train", ["merge_intervals", "runoff_winner"])
    _suite(folder, "heldout", ["caesar_shift", "int_to_roman"])


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own commands run in this process from now on; pytest is run outside as ever."""
    real = walk.run

    def run(command: list[str]) -> int:
        return main(command[1:]) if command[0] == "repoagent" else real(command)

    monkeypatch.setattr(walk, "run", run)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def done(out: str) -> list[str]:
    """The stages that were found done."""
    return [line.split("] ")[1].partition(":")[0] for line in out.splitlines() if ": done already: " in line]


def _suite(folder: Path, side: str, names: list[str]) -> None:
    whole = json.loads((ROOT / f"eval/suites/minibugs_{side}.json").read_text())
    whole |= {"name": f"few_{side}", "task_ids": [f"minibugs/{name}" for name in names]}
    (folder / f"few_{side}.json").write_text(json.dumps(whole))
