"""Whose recorded actions are good examples at their states: the teachers' steps, for branches and for pairs."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from builders.arguments import add_flag, count
from builders.choices import RolloutRules, StepRules
from pytest_repoagent.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from builders.leakage import HeldOut
    from builders.selection import Selected

_RULES = StepRules()


def add_arguments(group: Any) -> None:
    """Add the options that choose a teacher's steps."""
    group.add_argument(
        "--teacher",
        action="append",
        default=[],
        metavar="SPEC",
        help="whose recorded actions are good (default: every model that is no student); may be repeated",
    )
    add_flag(group, "--require-success", True, "only a teacher's rollouts whose last test run passed")
    add_flag(group, "--include-final", _RULES.include_final, "also a teacher's finals")
    group.add_argument(
        "--where", default=_RULES.where, metavar="SQL", help="condition on a teacher's steps s, rollouts r"
    )
    group.add_argument(
        "--max-per-slot",
        type=count,
        default=_RULES.max_per_slot,
        metavar="N",
        help="a teacher's actions of one task, step index and tool; 0: any number (default: 3)",
    )


def given(args: argparse.Namespace) -> list[str]:
    """The options given that choose a teacher's steps."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    ignored = vars(parser.parse_args([]))
    return [f"--{name.replace('_', '-')}" for name, default in ignored.items() if getattr(args, name) != default]


def step_rules(args: argparse.Namespace) -> StepRules:
    """Which steps, by the same options."""
    return StepRules(include_final=args.include_final, where=args.where, max_per_slot=args.max_per_slot)


def select(
    connection: duckdb.DuckDBPyConnection,
    args: argparse.Namespace,
    students: Collection[str],
    models: Sequence[str],
    held_out: HeldOut,
) -> Selected:
    """Select the teachers' steps for :func:`builders.rollouts.read`.

    Args:
        connection: the store.
        args: with the same options, and ``run``.
        students: who is no teacher unless it was named as one.
        models: who may be one; empty for every model.
        held_out: see :func:`builders.selection.select_rollouts`.

    Raises:
        UsageError: there is no teacher, or ``where`` is no condition.
    """
    from builders import selection

    found = connection.execute("SELECT DISTINCT model FROM rollouts WHERE model IS NOT NULL ORDER BY model").fetchall()
    recorded = [model for (model,) in found if not models or model in models]
    teachers = args.teacher or [model for model in recorded if model not in students]
    if not teachers:
        raise UsageError(f"the store has only the students' rollouts ({', '.join(students)}): record a teacher's")
    if unknown := [model for model in teachers if model not in recorded]:
        raise UsageError(f"--teacher={unknown[0]}: the store has only {', '.join(recorded)}")
    rules = RolloutRules(args.require_success, tuple(teachers), tuple(args.run))
    selection.select_rollouts(connection, rules, held_out)
    selection.select_steps(connection, step_rules(args))
    return selection.selected(connection)
