"""Preference pairs: two next actions at one state, the better one first. ``python -m builders.preferences``."""

from __future__ import annotations

import argparse
import sys

from builders import teachers
from builders.arguments import add_common, count, number, order
from builders.pairs.rules import CONSTRUCTIONS, OUTPUTS, PairRules, parse_mix
from pytest_repoagent.errors import UsageError

_PAIRS = PairRules()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``repoagent build preferences``."""
    add_common(parser, "preference")
    group = parser.add_argument_group("how pairs are made")
    group.add_argument(
        "--mix",
        default=",".join(CONSTRUCTIONS),
        metavar="NAME[=SHARE],...",
        help=f"constructions, with their shares of all pairs (default: all there is of {', '.join(CONSTRUCTIONS)})",
    )
    group.add_argument("--max-pairs", type=count, default=0, metavar="N", help="pairs in all; 0: any number (default)")
    group.add_argument(
        "--student", action="append", default=[], metavar="SPEC", help="whose branches to use (default: all)"
    )
    teachers.add_arguments(group)
    group.add_argument(
        "--like-model", metavar="SPEC", help="draw corruptions from this model's recorded mistakes (default: all alike)"
    )
    group.add_argument(
        "--corruptions", type=count, default=1, metavar="N", help="corruptions of an action (default: 1)"
    )
    group.add_argument("--seed", type=int, default=0, help="of corruptions (default: 0)")
    group.add_argument(
        "--rollout-output", choices=OUTPUTS, default="action", help="what a pair of rollouts compares (default: action)"
    )
    group.add_argument("--tail-turns", type=count, default=3, metavar="K", help="turns of a tail (default: 3)")
    group = parser.add_argument_group("which are good")
    group.add_argument(
        "--min-margin",
        type=number,
        default=_PAIRS.min_margin,
        metavar="POINTS",
        help="how much better a side must be (default: 1)",
    )
    group.add_argument(
        "--max-length-bias",
        type=number,
        default=_PAIRS.max_length_bias,
        metavar="SHARE",
        help="share of a construction's pairs with the longer text on the same side; 1: any (default: 0.6)",
    )
    group.add_argument(
        "--verify", action="store_true", help="run the students' actions, and the tests after those that write"
    )
    group.add_argument("--runner", default="warm", metavar="NAME", help="test runner of --verify (default: warm)")


def build(args: argparse.Namespace) -> str:
    """Build the dataset that the options ask for, and return its card.

    Raises:
        RepoAgentError: as :func:`builders.dataset.write`.
    """
    from builders import dataset
    from builders.pairs.pairing import Pairing

    mix = parse_mix(args.mix)
    if not 0.5 <= args.max_length_bias <= 1:
        raise UsageError(f"--max-length-bias is {args.max_length_bias:g}, but must be from 0.5 to 1")
    if args.like_model and "corruption" not in mix:
        raise UsageError("--like-model is for corruptions, but --mix has none")
    if ignored := _ignored(args, set(mix)):
        raise UsageError(f"{ignored[0]} is for the other constructions, but --mix has only {' and '.join(mix)}")
    if args.tail_turns < 1 or args.corruptions < 1:
        raise UsageError("--tail-turns and --corruptions must be at least 1")
    rules = PairRules(
        mix=mix,
        max_pairs=args.max_pairs,
        students=tuple(args.student),
        like_model=args.like_model,
        corruptions=args.corruptions,
        seed=args.seed,
        rollout_output=args.rollout_output,
        tail_turns=args.tail_turns,
        min_margin=args.min_margin,
        max_length_bias=args.max_length_bias,
    )
    with Pairing(args, rules) as pairing:
        return dataset.write(order(args, "preference"), pairing.plan)


def _ignored(args: argparse.Namespace, mix: set[str]) -> list[str]:
    """Options given for constructions that are not wanted."""
    if not mix <= {"student_best_worst", "rollouts"}:
        return []
    used = {"--teacher", "--student", "--verify"} if "student_best_worst" in mix else set()
    students = [option for option, value in (("--student", args.student), ("--verify", args.verify)) if value]
    return [option for option in (*teachers.given(args), *students) if option not in used]


if __name__ == "__main__":
    from pytest_repoagent.cli import main

    sys.exit(main(["build", "preferences", *sys.argv[1:]]))
