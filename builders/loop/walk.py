"""Walking through a loop's stages: what is done is skipped, every command is shown, and a budget ends it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from builders.command import start
from builders.loop.lanes import Command
from builders.loop.stages import Stage
from builders.tuning.money import usd
from pytest_repoagent.errors import InfrastructureError, UsageError

Say = Callable[[str], None]


def show(stages: Sequence[Stage], comparison: Command, left_usd: float | None, say: Say) -> None:
    """Say what would be done, without doing it."""
    for stage in stages:
        outcome = stage.outcome()
        say(f"{stage.name}: {f'done: {outcome}' if outcome else 'to do'}")
        say(f"  $ {shlex.join(stage.command(left_usd))}")
    say("compare")
    say(f"  $ {shlex.join(comparison)}")


def walk(stages: Sequence[Stage], spent_usd: Callable[[], float], max_usd: float | None, say: Say) -> None:
    """Do what is not done.

    Raises:
        UsageError: the next stage would cost, or the last one has cost, more than ``max_usd`` in all.
        InfrastructureError: a stage's command has ended without its outcome.
        KeyboardInterrupt: what was recorded stays.
    """
    for number, stage in enumerate(stages, start=1):
        title = f"[{number}/{len(stages)}] {stage.name}"
        outcome = stage.outcome()
        if outcome:
            say(f"{title}: done already: {outcome}")
            continue
        before = spent_usd()
        left = None if max_usd is None else max_usd - before
        expected = stage.expected_usd()
        say(f"{title}: {_expectation(stage, expected)}; spent so far: {usd(before)}")
        if left is not None and expected != 0 and (left <= 0 or (expected or 0) > left):
            raise UsageError(f"{stage.name} was not begun: of --max-usd {max_usd:g}, {usd(before)} is spent")
        command = stage.command(left)
        say(f"  $ {shlex.join(command)}")
        begun = monotonic()
        status = run(command)
        outcome = stage.outcome() or ("done" if stage.repeatable and status == 0 else None)
        say(f"{title}: {outcome or 'not done'}, {monotonic() - begun:.0f} s, {usd(spent_usd() - before)}")
        if outcome is None:
            raise InfrastructureError(
                f"{stage.name} has ended with exit status {status} and without all of its outcome, see above; the same "
                "command goes on with it"
            )


def run(command: Command) -> int:
    """Run one of our own commands as it would be typed; Ctrl-C is left to it, and is told when it has ended.

    Raises:
        KeyboardInterrupt: there was one.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    process = start(command, env={**os.environ, "PATH": path})
    interrupted = False
    while True:
        try:
            status = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return status


def _expectation(stage: Stage, expected: float | None) -> str:
    if expected == 0:
        return "costs nothing"
    if expected is not None:
        return f"about {usd(expected)} by what its rollouts cost so far"
    return "says its price first" if stage.bounded else "its price is not known before"
