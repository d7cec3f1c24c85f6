"""The whole loop, offline: a small model made from nothing learns the protocol. What came of it: docs/loop-demo.md.

Teachers' traces on training tasks, SFT, the student's own rollouts on other training tasks, preference pairs of the
teacher's actions and the student's kinds of mistakes, DPO; and an evaluation on held-out tasks over HTTP before,
between and after. It is about data, masks and loop. The tasks are as small as the model (``loop_suite``).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import loop_suite
from loop_model import Shape, make

FOLDER = Path(".repoagent/loop-demo")
TEACHERS = ("swaps", "novice:swaps@0.4")
"""The second is the first with four in ten messages spoiled: each action is shown after any other, and a refusal."""
PYTEST = (sys.executable, "-m", "pytest", "-p", "loop_suite", "-q", "--tb=no", "-n", "2")
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
REPOAGENT = (sys.executable, "-m", "pytest_repoagent.cli")


@dataclass(frozen=True)
class Size:
    """How much of everything: options of the commands, and the model's shape."""

    train: int = 400
    heldout: int = 24
    shape: Shape = field(default_factory=Shape)
    setup: str = "--paraphrase=10 --max-iters=7 --max-tokens=300 --no-reflection --test-timeout=2"
    rollouts: int = 4
    sft: str = (
        "--epochs=3 --learning-rate=2e-3 --warmup-ratio=0.1 --batch-size=2 --micro-batch-size=2 --max-length=1200"
    )
    practice: int = 100
    pairs: str = "--max-pairs=1600"
    dpo: str = "--learning-rate=5e-4 --dpo-beta=1 --rpo-alpha=30 --batch-size=4 --epochs=1"


class Stages:
    """Runs commands as a user would, keeps what they print, and takes the time."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the logs."""
        self._folder = folder
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count and say how long something takes."""
        began = time.monotonic()
        yield
        self._seconds[stage] = time.monotonic() - began
        print(f"{stage}: {self._seconds[stage]:.0f} s", flush=True)

    def run(self, stage: str, *command: str, failures: bool = False) -> str:
        """Run a command, and return what it printed.

        Args:
            stage: what it does; names its log.
            command: the words.
            failures: items of an evaluation may fail.

        Raises:
            SystemExit: it failed.
        """
        with self.timed(stage):
            done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        (self._folder / f"{stage.replace(' ', '-')}.log").write_text(done.stdout)
        if done.returncode not in ((0, 1) if failures else (0,)):
            raise SystemExit(f"{stage} ended with exit status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def table(self) -> str:
        """The seconds of each stage, in Markdown."""
        rows = [*self._seconds.items(), ("all", sum(self._seconds.values()))]
        return "\n".join(["| stage | seconds |", "| --- | ---: |", *(f"| {stage} | {s:.0f} |" for stage, s in rows)])


def suites(folder: Path, size: Size) -> tuple[Path, Path, Path]:
    """Write the tasks for training, the held-out ones, and those for practice; returns their suites' files."""
    return (
        loop_suite.write(folder / "small_train", "train", size.train),
        loop_suite.write(folder / "small_heldout", "heldout", size.heldout),
        loop_suite.write(folder / "small_practice", "train", size.practice, skip=size.train),
    )


def run(folder: Path, size: Size) -> str:
    """Run all stages; returns the comparison of the three models and the stages' times, in Markdown."""
    folder.mkdir(parents=True)
    stages = Stages(folder)
    base, sft, dpo, data, pairs = (folder / name for name in ("base", "sft", "dpo", "data", "pairs"))
    store = f"--store={folder / 'store.duckdb'}"
    train, heldout, practice = suites(folder, size)

    def rollouts(stage: str, suite: Path, *options: str, server: Path | None = None) -> None:
        command = (*PYTEST, f"--suite={suite}", store, *options, *size.setup.split())
        served = (*REPOAGENT, "serve", str(server), "--run", shlex.join((*command, "--model={model}")))
        stages.run(stage, *(served if server else command), failures=True)

    def evaluate(model: Path, times: int) -> None:
        how = (f"--tag={model.name}", "--temperature=0.2", f"--rollouts={times}")
        rollouts(f"evaluate {model.name}", heldout, *how, server=model)

    def build(what: str, out: Path, *options: str) -> None:
        stages.run(f"build {what}", *REPOAGENT, "build", what, f"--out={out}", store, "--val-fraction=0", *options)

    def train_on(method: str, data: Path, start: Path, out: Path, options: str) -> None:
        how = (f"--model={start}", f"--out={out}", "--full", store, *options.split())
        stages.run(f"train {method}", *REPOAGENT, "tune", "local", method, str(data), *how)

    teachers = tuple(f"--model={name}" for name in TEACHERS)
    rollouts("traces", train, *teachers)
    build("sft", data, *teachers, "--unit=trajectory", "--no-require-success", "--fail-weight=1", "--max-per-slot=0")
    with stages.timed("make base"):
        rows = (json.loads(line)["messages"] for line in (data / "train.jsonl").open(encoding="utf-8"))
        parameters = make([[message["content"] for message in row] for row in rows], base, size.shape, seed=0)
    evaluate(base, 1)
    train_on("sft", data, base, sft, size.sft)
    evaluate(sft, size.rollouts)
    rollouts("practice", practice, "--tag=practice", "--temperature=0.7", server=sft)
    mistakes = ("--mix=corruption", "--teacher=swaps", "--no-require-success", "--like-model=openai:sft")
    build("preferences", pairs, "--max-length-bias=1", *mistakes, *size.pairs.split())
    train_on("dpo", pairs, sft, dpo, size.dpo)
    evaluate(dpo, size.rollouts)
    compared = [
        stages.run(f"compare {two}", *REPOAGENT, "compare", *two.split(), store, "--format=markdown")
        for two in ("base sft", "sft dpo")
    ]
    return f"{''.join(compared)}\n{parameters:,} parameters\n\n{stages.table()}\n"


if __name__ == "__main__":
    report = run(FOLDER, Size())
    (FOLDER / "report.md").write_text(report)
    print(report)
