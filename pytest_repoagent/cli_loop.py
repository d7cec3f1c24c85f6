"""``repoagent loop``: from a base model to a tuned one that was compared with it."""

from __future__ import annotations

import argparse
import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import default_store

if TYPE_CHECKING:
    from builders.loop.lanes import Lane
    from builders.loop.stages import Recipe

_PAID = ("together", "openai")
_RECORD = "loop.json"
_SHAPING = (
    *("where", "model", "base", "teacher", "student", "train_suite", "heldout_suite", "rollouts"),
    *("pytest_options", "sft_options", "dpo_options"),
)


def add_parser(subparsers: Any) -> None:
    """Add the command. It sets ``handler``, which returns an exit code or raises a RepoAgentError."""
    from builders.arguments import number
    from builders.tuning.options import positive

    parser = subparsers.add_parser("loop", help="evaluate, tune and evaluate again, as one command that can be resumed")
    places = parser.add_subparsers(dest="where", required=True, metavar="WHERE")
    for where, help in (("together", "tune at Together"), ("local", "tune on this machine")):
        one = places.add_parser(where, help=help)
        one.set_defaults(handler=_loop)
        one.add_argument("--out", type=Path, required=True, metavar="DIR", help="its datasets and models")
        group = one.add_argument_group("who")
        group.add_argument("--model", required=True, metavar="NAME" if where == "together" else "DIR", help="is tuned")
        group.add_argument("--base", metavar="SPEC", help="is evaluated first (default: the model that is tuned)")
        group.add_argument("--teacher", required=True, metavar="SPEC", help="its rollouts are learned from")
        group.add_argument("--student", metavar="SPEC", help="is asked for pairs (default: what came out of SFT)")
        group = one.add_argument_group("at what")
        group.add_argument("--train-suite", default="quixbugs_train", metavar="NAME", help="default: quixbugs_train")
        group.add_argument(
            "--heldout-suite", default="quixbugs_heldout", metavar="NAME", help="default: quixbugs_heldout"
        )
        group.add_argument(
            "--rollouts", type=positive, default=1, metavar="N", help="of each held-out task (default: 1)"
        )
        group = one.add_argument_group("how")
        for command in ("pytest", "sft", "dpo"):
            what = "every run of pytest" if command == "pytest" else f"`repoagent tune {where} {command}`"
            group.add_argument(f"--{command}-options", default="", metavar="OPTIONS", help=f"more for {what}")
        if where == "together":
            group.add_argument(
                "--for", default="1h", dest="serve_for", metavar="TIME", help="of each endpoint, at most"
            )
        group = one.add_argument_group("for how much")
        group.add_argument(
            "--max-usd", type=number, required=where == "together", metavar="USD", help="all of it may cost this"
        )
        group.add_argument(
            "--price",
            action="append",
            default=[],
            metavar="SPEC=IN,OUT",
            help="USD per million prompt and completion tokens of a model named here; may be repeated",
        )
        one.add_argument("--dry-run", action="store_true", help="show the stages, which are done, and their commands")


def _loop(args: argparse.Namespace) -> int:
    from builders.loop.facts import Facts
    from builders.loop.stages import Stages
    from builders.loop.walk import run, show, walk

    recipe = _recipe(args)
    facts = Facts(default_store())
    stages = Stages(recipe, _lane(args), facts)
    say = partial(print, flush=True)
    tags = [recipe.tag(stage) for stage in ("base", "teacher", "sft", "dpo")]
    spent = partial(facts.spent_usd, tags, [recipe.data("sft"), recipe.data("dpo")])
    if args.dry_run:
        show(stages.all(), stages.comparison(), None if args.max_usd is None else args.max_usd - spent(), say)
        return 0
    _same_as_before(args)
    try:
        walk(stages.all(), spent, args.max_usd, say)
        say(f"  $ {shlex.join(stages.comparison())}")
        return run(stages.comparison())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here")
        return 130


def _recipe(args: argparse.Namespace) -> Recipe:
    from builders.loop.lanes import MODEL
    from builders.loop.stages import Recipe

    prices = dict(_price(text) for text in args.price)
    untuned = f"together:{args.model}" if args.where == "together" else MODEL
    base = args.base or untuned
    for spec in (base, args.teacher, args.student or MODEL):
        if spec.partition(":")[0] in _PAID and args.max_usd is not None and spec not in prices:
            raise UsageError(
                f"--max-usd needs what {spec} costs: give --price {spec}=IN,OUT (0,0 for a server of yours)"
            )
    return Recipe(
        out=args.out,
        base=base,
        teacher=args.teacher,
        student=args.student,
        train_suite=args.train_suite,
        heldout_suite=args.heldout_suite,
        train_tasks=_tasks(args.train_suite, "train"),
        heldout_tasks=_tasks(args.heldout_suite, "heldout"),
        rollouts=args.rollouts,
        pytest=tuple(shlex.split(args.pytest_options)),
        sft=tuple(shlex.split(args.sft_options)),
        dpo=tuple(shlex.split(args.dpo_options)),
        prices=prices,
    )


def _lane(args: argparse.Namespace) -> Lane:
    from builders.loop.lanes import Local, Together

    if args.where == "together":
        return Together(args.model, args.serve_for)
    return Local(args.model, args.out)


def _tasks(suite: str, split: str) -> int:
    """How many tasks a suite has.

    Raises:
        SuiteError, UsageError: there is none of this name, or it is of the other side.
    """
    from pytest_repoagent import bundled
    from pytest_repoagent.suites import find_suite, load_suite

    found = load_suite(find_suite(suite, [Path("eval/suites"), bundled.suites_dir()]))
    if found.split != split:
        raise UsageError(f"--{split}-suite: the split of {suite} is {found.split}, but must be {split}")
    return len(found.tasks)


def _price(text: str) -> tuple[str, str]:
    spec, equals, price = text.rpartition("=")
    if not equals:
        raise UsageError(f"--price: {text!r} is not of the form SPEC=IN,OUT")
    return spec, price


def _same_as_before(args: argparse.Namespace) -> None:
    """Keep what shapes the outcome, and compare with what was kept.

    Raises:
        UsageError: the folder is of a loop with other options.
    """
    now = {name: getattr(args, name) for name in _SHAPING}
    file = args.out / _RECORD
    if not file.is_file():
        args.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(now, indent=1) + "\n")
        return
    before = json.loads(file.read_text())
    for name, value in now.items():
        if before.get(name) != value:
            option = "WHERE" if name == "where" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"--out: the loop in {args.out} was begun with {option} {before.get(name)}; name another folder"
            )
