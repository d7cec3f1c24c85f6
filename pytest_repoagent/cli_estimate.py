"""``repoagent estimate``: tokens, money and time of a planned collection."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_repoagent.cli_store import store_argument

if TYPE_CHECKING:
    from pytest_repoagent.estimate import Estimate, Range


def add_parser(subparsers: Any) -> None:
    """Add the command; its handler returns an exit code or raises a RepoAgentError."""
    parser = subparsers.add_parser("estimate", help="what a planned run will take, by what the store has of its model")
    parser.add_argument("--model", required=True, metavar="SPEC", help="PROVIDER:NAME")
    for name, metavar, says in (
        ("suite", "NAME", "suite name or file (default: quixbugs_heldout)"),
        ("rollouts", "N", "rollouts per task (default: 1)"),
        ("price", "IN,OUT", "USD per million prompt and completion tokens"),
        ("concurrency", "K", "rollouts at once, by all processes together (default: as in the model's latest run)"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=says)
    store_argument(parser, _estimate)


def _estimate(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent import bundled
    from pytest_repoagent.estimate import estimate
    from pytest_repoagent.prices import describe, price_of
    from pytest_repoagent.registry import built_in
    from pytest_repoagent.settings import make_settings
    from pytest_repoagent.suites import find_suite, load_suite

    spec = built_in().resolve(args.model)
    given = {name: getattr(args, name) for name in ("suite", "rollouts", "price", "concurrency")}
    plan = make_settings({"model": (spec,), **given})
    tasks = [task.task_id for task in load_suite(find_suite(plan.suite, [bundled.suites_dir()])).tasks]
    price = price_of(spec, plan.price)
    made = estimate(store, spec, tasks, plan.rollouts, price, plan.concurrency)
    for line in _lines(made, len(tasks), describe(spec, price)):
        print(line)
    return 0


def _lines(made: Estimate, tasks: int, price: str) -> list[str]:
    whose = f"{made.recorded_tasks} of these tasks" if made.planned else f"{made.recorded_tasks} other tasks"
    basis = f"{made.recorded} rollouts of {whose} took under the settings of run {made.run_id}"
    lines = [f"{made.rollouts} rollouts of {tasks} tasks, by what {basis}"]
    if made.tokens is None or made.prompt_share is None:
        lines.append("tokens  none are counted")
    else:
        prompts = f"{100 * made.prompt_share:.0f} % of them in prompts"
        lines.append(f"tokens  {_range(made.tokens, lambda n: f'{n:,.0f}')}, {prompts}")
        if made.usd is not None:
            lines.append(f"cost    {_range(made.usd, lambda usd: f'${usd:,.2f}')}")
        lines.append(f"        {price}")
    lines.append(f"time    {_time(made.wall_s)} with {made.at_once:.3g} rollouts at once")
    return lines


def _range(found: Range, show: Callable[[float], str]) -> str:
    if found.low is None or found.high is None:
        return show(found.likely)
    return f"{show(found.likely)}, between {show(found.low)} and {show(found.high)} nine times out of ten"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
