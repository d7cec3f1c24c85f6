"""``repoagent build`` and ``repoagent dataset``: training data from the store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the commands. Each sets ``handler``, which returns an exit code or raises a RepoAgentError."""
    from builders import branch, preferences, sft

    build = subparsers.add_parser("build", help="make a dataset for fine-tuning from recorded rollouts")
    kinds = build.add_subparsers(dest="what", required=True, metavar="KIND")
    parser = kinds.add_parser("sft", help="next actions to learn, from training tasks")
    sft.add_arguments(parser)
    parser.set_defaults(handler=_sft)
    parser = kinds.add_parser("preferences", help="pairs of next actions, the better one first, from training tasks")
    preferences.add_arguments(parser)
    parser.set_defaults(handler=_preferences)
    parser = kinds.add_parser("branch", help="ask a student for its next action at recorded states, for preferences")
    branch.add_arguments(parser)
    parser.set_defaults(handler=_branch)

    dataset = subparsers.add_parser("dataset", help="look at datasets")
    commands = dataset.add_subparsers(dest="what", required=True, metavar="COMMAND")
    diff = commands.add_parser("diff", help="what changed from one dataset to another, and why")
    diff.add_argument("before", type=Path, metavar="A", help="a dataset's folder")
    diff.add_argument("after", type=Path, metavar="B", help="another's")
    diff.set_defaults(handler=_diff)


def _sft(args: argparse.Namespace) -> int:
    from builders.sft import build

    print(build(args))
    return 0


def _preferences(args: argparse.Namespace) -> int:
    from builders.preferences import build

    print(build(args))
    return 0


def _branch(args: argparse.Namespace) -> int:
    from builders.branch import ask, lines

    answers = ask(args)
    print("\n".join(lines(answers, args.student)))
    return 1 if answers.failures else 0


def _diff(args: argparse.Namespace) -> int:
    from builders.diff import compare

    print("\n".join(compare(args.before, args.after)))
    return 0
