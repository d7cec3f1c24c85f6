"""The options that every builder has. Imports nothing heavy: every command of ``repoagent`` reads them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.choices import RolloutRules
from builders.formats import FORMATS, Format, Kind
from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import DEFAULT_STORE, default_store

USD_PER_MILLION: Mapping[Kind, float] = {"sft": 0.48, "preference": 1.20}
"""What Together took for LoRA on models up to 16B when this was written; prices change."""

_UNFLAGGED = ("handler", "command", "what", "out", "force")


@dataclass(frozen=True)
class Order:
    """What the user asked for, whatever the kind of dataset.

    Attributes:
        flags: every flag by its name, for the manifest.
        val_fraction: share of the examples for validation, by whole families.
        tokenizer: see :class:`builders.tokens.TokenCounter`.
        usd_per_million: price of a million training tokens.
        force: replace a dataset that is there.
    """

    store: Path
    out: Path
    kind: Kind
    format: Format
    flags: Mapping[str, Any]
    val_fraction: float
    tokenizer: Path | None
    usd_per_million: float
    force: bool


def add_common(parser: argparse.ArgumentParser, kind: Kind) -> None:
    """Add what every builder takes, besides its own rules."""
    group = parser.add_argument_group("what goes in and out")
    group.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    group.add_argument("--force", action="store_true", help="replace a dataset that is there")
    group.add_argument(
        "--db", "--store", type=Path, metavar="FILE", help=f"store (default: $REPOAGENT_STORE, else {DEFAULT_STORE})"
    )
    group.add_argument("--format", choices=FORMATS, default="together", help="default: together")
    group.add_argument(
        "--val-fraction", type=_fraction, default=0.1, metavar="F", help="by whole families (default: 0.1)"
    )
    group.add_argument("--tokenizer", type=Path, metavar="PATH", help="tokenizer.json to count with (default: about)")
    group.add_argument(
        "--usd-per-million",
        type=number,
        default=USD_PER_MILLION[kind],
        metavar="USD",
        help=f"price of a million training tokens (default: {USD_PER_MILLION[kind]:g})",
    )
    group = parser.add_argument_group("which rollouts; those of held-out tasks and families never")
    group.add_argument("--suite", action="append", default=[], help="further suite whose split counts; may be repeated")
    group.add_argument("--quixbugs", metavar="PATH|URL", help="copy of QuixBugs, to compare with its held-out programs")
    group.add_argument(
        "--model", action="append", default=[], metavar="SPEC", help="default: every model; may be repeated"
    )
    group.add_argument("--run", action="append", default=[], metavar="ID", help="default: every run; may be repeated")


def add_flag(group: Any, name: str, default: bool, help: str) -> None:
    """Add ``--name`` and ``--no-name``."""
    group.add_argument(
        name,
        action=argparse.BooleanOptionalAction,
        default=default,
        help=f"{help} (default: {'yes' if default else 'no'})",
    )


def order(args: argparse.Namespace, kind: Kind) -> Order:
    """What to build, by the options of :func:`add_common`; every option goes into the manifest but the folder."""
    store = args.db or default_store()
    flags = {name: value for name, value in sorted(vars(args).items()) if name not in _UNFLAGGED}
    spelled = {name: str(value) if isinstance(value, Path) else value for name, value in flags.items()}
    return Order(
        store=store,
        out=args.out,
        kind=kind,
        format=args.format,
        flags={**spelled, "db": str(store)},
        val_fraction=args.val_fraction,
        tokenizer=args.tokenizer,
        usd_per_million=args.usd_per_million,
        force=args.force,
    )


def rollout_rules(args: argparse.Namespace, require_success: bool) -> RolloutRules:
    """Which rollouts, by the same options."""
    return RolloutRules(require_success, tuple(args.model), tuple(args.run))


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise UsageError(f"--val-fraction is {text!r}, but must be a number from 0 to below 1")
    return value


def count(text: str) -> int:
    """A number of things as an option's value: 0 or more.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def number(text: str) -> float:
    """An amount as an option's value: 0 or more, and finite.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return value
