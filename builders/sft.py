"""Supervised examples: the messages up to a state, and the action recorded there. ``python -m builders.sft``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from builders.arguments import add_common, add_flag, count, number, order, rollout_rules
from builders.choices import StepRules
from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol import render

if TYPE_CHECKING:
    import duckdb

    from builders.plan import Plan

_RULES = StepRules()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``repoagent build sft``."""
    add_common(parser, "sft")
    add_flag(parser, "--require-success", True, "only rollouts whose last test run passed")
    group = parser.add_argument_group("which of their steps; the dataset's card counts what each rule leaves out")
    add_flag(group, "--require-strict", _RULES.require_strict, "only replies that were exactly one action")
    add_flag(group, "--require-valid-tool-ok", _RULES.require_valid_tool_ok, "only calls whose tool did its work")
    add_flag(group, "--loops", _RULES.loops, "also steps that repeat an earlier one or ask for nothing new")
    add_flag(group, "--unchanged-writes", _RULES.unchanged_writes, "also writes that change nothing")
    add_flag(group, "--bad-content", _RULES.bad_content, "also writes of elided, fenced or non-compiling content")
    add_flag(group, "--recovery", _RULES.recovery, "also steps right after a refused or invalid one")
    add_flag(group, "--include-final", _RULES.include_final, "also finals")
    group.add_argument("--where", default=_RULES.where, metavar="SQL", help="condition on steps s and rollouts r")
    add_flag(group, "--dedup", _RULES.dedup, "one example of equal actions at equal states")
    group.add_argument(
        "--max-per-slot",
        type=count,
        default=_RULES.max_per_slot,
        metavar="N",
        help="examples of one task, step index and tool, from the shortest rollouts; 0: any number (default: 3)",
    )
    group.add_argument(
        "--max-per-task",
        type=count,
        default=_RULES.max_per_task,
        metavar="N",
        help="examples of one task, from the shortest rollouts; 0: any number (default)",
    )
    group = parser.add_argument_group("what they look like")
    group.add_argument(
        "--unit",
        choices=("step", "trajectory"),
        default="step",
        help="a row per step, or per rollout with its other turns masked (default: step)",
    )
    group.add_argument("--window", metavar="POLICY", help="full or last_k:N (default: as each was recorded)")
    group.add_argument(
        "--truncate-results", type=count, default=0, metavar="CHARS", help="cut longer tool results; 0: none (default)"
    )
    group = parser.add_argument_group("what a row weighs; the factors are multiplied")
    group.add_argument(
        "--fail-weight",
        type=number,
        default=_RULES.fail_weight,
        metavar="W",
        help="of rollouts without success, 1 with",
    )
    group.add_argument(
        "--duplicate-weight",
        choices=("one", "sqrt", "count"),
        default=_RULES.duplicate_weight,
        help="of deduplicated examples, by how often they occurred (default: one)",
    )
    group.add_argument(
        "--balance",
        choices=("none", "task", "tool"),
        default=_RULES.balance,
        help="make all tasks or tools weigh the same",
    )


def build(args: argparse.Namespace) -> str:
    """Build the dataset that the options ask for, and return a few lines about it.

    Raises:
        RepoAgentError: as :func:`builders.dataset.write`.
    """
    from builders import dataset

    if args.window is not None:
        try:
            render.check_window(args.window)
        except ValueError as error:
            raise UsageError(f"--window: {error}") from None
    if args.unit == "trajectory" and args.window not in (None, "full"):
        raise UsageError("--unit trajectory needs whole conversations: leave --window out, or give --window full")
    return dataset.write(order(args, "sft"), partial(plan, args), shared=True)


def plan(args: argparse.Namespace, connection: duckdb.DuckDBPyConnection) -> Plan:
    """Select the examples from an opened store."""
    from builders import leakage, rollouts, selection
    from builders.plan import Plan
    from builders.sft_rows import SftRows
    from builders.tokens import TokenCounter

    rules = StepRules(**{rule.name: getattr(args, rule.name) for rule in fields(StepRules)})
    held_out = leakage.load(connection, args.suite, args.quixbugs)
    selection.select_rollouts(connection, rollout_rules(args, args.require_success), held_out)
    selection.select_steps(connection, rules)
    found = selection.selected(connection)
    costs: Counter[str] = Counter()
    rows = SftRows(args.unit, args.window, args.truncate_results, TokenCounter(args.tokenizer), found.dropped, costs)
    return Plan(
        parts=[
            rows.read(rollouts.read(connection, held_out, found.dropped, [chunk]))
            for chunk in rollouts.chunks(connection)
        ],
        total=found.examples if args.unit == "step" else found.rollouts,
        families=found.families,
        steps=found.steps,
        dropped=found.dropped,
        held_out=held_out,
        query=selection.query(rules),
        remarks=rows.remarks,
        costs=costs,
    )


if __name__ == "__main__":
    from pytest_repoagent.cli import main

    sys.exit(main(["build", "sft", *sys.argv[1:]]))
