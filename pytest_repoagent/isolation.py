"""Sandbox levels in words: how a run says what kept the code that a model wrote in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.testrun.base import Runner
from pytest_repoagent.testrun.sandbox import layers


def missing(level: str) -> list[str]:
    """The layers that a level of the built-in sandbox lacks (see :class:`pytest_repoagent.testrun.base.Verdict`).

    Empty for ``full``, and for ``none`` and the levels of other people's runners, which have no such layers.
    """
    there = level.split("+")
    if not {*layers.NAMES, "limits"}.issuperset(there):
        return []
    return [layer for layer in layers.NAMES if layer not in there]


def describe(level: str) -> str:
    """``full``, or ``landlock+seccomp (no namespaces)``."""
    lacks = missing(level)
    return f"{level} (no {', '.join(lacks)})" if lacks else level


def demand_full(runner: Runner) -> None:
    """Make sure that a runner's sandbox is full; it is closed where it is not.

    Raises:
        UsageError: it is not.
    """
    if runner.sandbox != "full":
        runner.close()
        raise UsageError(
            f"--sandbox=strict wants a full sandbox, but that of --runner={runner.name} is {describe(runner.sandbox)} "
            f"here; `repoagent doctor` says what this machine lacks for --runner=warm and how to get it"
        )


def summarise(kinds: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What a run says at its end of its test runs.

    Args:
        kinds: the run's rows of the view ``run_sandbox``.

    Returns:
        The fact in one line, none where no test was run; and a line for each level that is less than it could be.
    """
    if not kinds:
        return [], []
    levels = Counter[str]()
    for kind in kinds:
        levels[kind["sandbox"]] += kind["test_runs"]
    every = f" of {levels.total()} test runs"
    shown = [f"{level} ({n}{every})" if len(levels) > 1 else level for level, n in levels.most_common()]
    fact = f"runner {kinds[0]['runner']}, sandbox {', '.join(shown)}"
    shared = sum(k["test_runs"] for k in kinds if k["judge"] == "in_process" and k["sandbox"] != "none")
    if shared:
        fact += f"; {shared}{every} had tests and program in one process"
    return [fact], [warning for level in levels if (warning := _warning(level))]


def _warning(level: str) -> str | None:
    if level == "none":
        return "sandbox none: code a model wrote runs with your rights"
    return f"sandbox {describe(level)}: `repoagent doctor` says how to get more" if missing(level) else None
