"""Ask a student for its next action at recorded states: one call each, no tools run, every reply recorded."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from builders import teachers
from builders.arguments import count, number
from builders.choices import RolloutRules
from pytest_repoagent.budget import Bounds
from pytest_repoagent.errors import UsageError
from pytest_repoagent.prices import price_of
from pytest_repoagent.settings import DEFAULT_STORE, Settings, default_store, make_settings

_NEVER = datetime.min


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``repoagent build branch``."""
    parser.add_argument("--student", required=True, metavar="SPEC", help="whom to ask, PROVIDER:NAME")
    parser.add_argument(
        "--db", "--store", type=Path, metavar="FILE", help=f"store (default: $REPOAGENT_STORE, else {DEFAULT_STORE})"
    )
    group = parser.add_argument_group("at which states; those of held-out tasks and families never")
    teachers.add_arguments(group)
    group.add_argument(
        "--own",
        action="store_true",
        help="instead of a teacher's: the states of the student's own rollouts, whatever it did there",
    )
    group.add_argument("--run", action="append", default=[], metavar="ID", help="default: every run; may be repeated")
    group.add_argument("--suite", action="append", default=[], help="further suite whose split counts; may be repeated")
    group.add_argument("--quixbugs", metavar="PATH|URL", help="copy of QuixBugs, to compare with its held-out programs")
    group.add_argument("--max-states", type=count, default=0, metavar="N", help="0: all of them (default)")
    group = parser.add_argument_group("how")
    group.add_argument("--samples", type=count, default=1, metavar="K", help="replies at each state (default: 1)")
    group.add_argument("--temperature", type=number, default=0.7, metavar="T", help="default: 0.7")
    for name in ("max-tokens", "base-url", "request-timeout", "retries"):
        group.add_argument(f"--{name}", metavar="X", help="as the option of pytest")
    group.add_argument("--price", metavar="IN,OUT", help="USD per million prompt and completion tokens")
    group.add_argument("--concurrency", type=count, default=8, metavar="N", help="calls at once (default: 8)")
    group.add_argument("--budget-usd", type=number, metavar="USD", help="stop when this command spent so much")
    group.add_argument("--max-tokens-total", type=count, metavar="N", help="stop when this command used so many tokens")


@dataclass(frozen=True)
class _Place:
    """A state, as it waits on disk."""

    task_id: str
    rollout_id: str
    step: int
    state_hash: str
    messages: tuple[Any, ...]


@dataclass(frozen=True)
class Answers:
    """What came of one command.

    Attributes:
        states: different ones that were selected.
        known: replies that were recorded before.
        asked: questions asked now.
        failures: of them, those without a reply; the same command asks them again.
        faults: error code -> replies that were no action; ``none`` for those that were.
        usd, tokens: spent now.
        bound: the option that stopped it, None where all was asked.
    """

    states: int
    known: int
    asked: int
    failures: Counter[str]
    faults: Counter[str]
    usd: float
    tokens: int
    bound: str | None


def ask(args: argparse.Namespace) -> Answers:
    """Ask what was not asked before.

    Raises:
        UsageError: an option is wrong, there is no such state, or the student cannot be used.
        InfrastructureError: the disk or the store failed.
        KeyboardInterrupt: what was answered is recorded.
    """
    from builders.asking import Question, Spent, ask_all
    from builders.progress import progress
    from builders.spool import Spool
    from builders.tasks import Tasks
    from pytest_repoagent.models.base import ModelContext
    from pytest_repoagent.registry import built_in
    from pytest_repoagent.store import branches
    from pytest_repoagent.store.branches import Branch

    if args.samples < 1 or args.concurrency < 1:
        raise UsageError("--samples and --concurrency must be at least 1")
    if args.own and (given := teachers.given(args)):
        raise UsageError(f"{given[0]} is for a teacher's states, but --own asks at the student's")
    registry = built_in()
    spec = registry.resolve(args.student)
    if "replay" in spec.split(":"):
        raise UsageError(f"--student={spec} answers from its record, whatever it is asked: name a model that reads")
    settings = _settings(args, spec)
    tasks = Tasks(args.suite, args.quixbugs, registry)
    context = ModelContext(
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        base_url=settings.base_url,
        request_timeout_s=settings.request_timeout,
        retries=settings.retries,
        trace_root=settings.trace_root,
        known_fix=tasks.known_fix,
        build=lambda inner: registry.build_model(inner, context),
    )
    model = registry.build_model(spec, context)
    model.check()
    store = settings.store
    known = branches.answered(store, spec, settings.temperature, settings.max_tokens)
    with tempfile.TemporaryDirectory() as folder, Spool[_Place](Path(folder)) as spool:
        with progress("selecting", None):
            places = _places(args, spec, store, Path(folder), spool.add)
        wanted = [
            (number, sample)
            for number, state_hash in places
            for sample in range(args.samples)
            if (state_hash, sample) not in known
        ]
        branches.record(store, [])
        price = price_of(spec, settings.price)
        bounds = Bounds(
            args.budget_usd, args.max_tokens_total, usd_option="--budget-usd", tokens_option="--max-tokens-total"
        )
        spent = Spent(price.usd if price else None, bounds)
        failures, faults = Counter[str](), Counter[str]()

        def questions() -> Iterator[Question]:
            for number, sample in wanted:
                (place,) = spool.get([number])
                seed = _seed(place.state_hash, sample)
                row = Branch(
                    state_hash=place.state_hash,
                    model=spec,
                    temperature=settings.temperature,
                    max_tokens=settings.max_tokens,
                    sample=sample,
                    seed=seed,
                    rollout_id=place.rollout_id,
                    step=place.step,
                    asked_at=_NEVER,
                    latency_s=0.0,
                )
                yield Question(place.task_id, place.messages, row)

        with progress("asking", len(wanted)) as advance:

            def record(answers: list[Branch]) -> None:
                branches.record(store, answers)
                failures.update(answer.error for answer in answers if answer.error)
                faults.update(answer.error_family or "none" for answer in answers if not answer.error)
                advance(len(answers))

            bound = ask_all(model, questions(), args.concurrency, spent, record)
    asked = failures.total() + faults.total()
    recorded = len(places) * args.samples - len(wanted)
    return Answers(len(places), recorded, asked, failures, faults, spent.balance.usd, spent.balance.tokens, bound)


def _settings(args: argparse.Namespace, spec: str) -> Settings:
    settings = make_settings(
        {
            "model": (spec,),
            "store": args.db or default_store(),
            **{
                name: getattr(args, name)
                for name in ("temperature", "max_tokens", "base_url", "request_timeout", "retries", "price")
            },
        }
    )
    if args.budget_usd is not None and price_of(spec, settings.price) is None:
        raise UsageError("--budget-usd needs the price of the student's tokens: give --price=IN,OUT")
    return settings


def _places(
    args: argparse.Namespace, spec: str, store: Path, folder: Path, add: Callable[[_Place], int]
) -> list[tuple[int, str]]:
    """The number and hash of every different state, in the order of recording."""
    from builders import leakage, rollouts, selection

    found: dict[str, int] = {}
    with selection.open_store(store, folder) as connection:
        held_out = leakage.load(connection, args.suite, args.quixbugs)
        if args.own:
            selection.select_rollouts(connection, RolloutRules(False, (spec,), tuple(args.run)), held_out)
            selection.select_every_step(connection)
            chosen = selection.selected(connection)
        else:
            chosen = teachers.select(connection, args, [spec], (), held_out)
        for rollout in rollouts.read(connection, held_out, chosen.dropped):
            for step in rollout.steps:
                if step.state_hash not in found and not (args.max_states and len(found) == args.max_states):
                    place = _Place(rollout.task_id, rollout.rollout_id, step.step, step.state_hash, step.messages)
                    found[step.state_hash] = add(place)
    if not found:
        reasons = ", ".join(f"{steps:,} {reason}" for reason, steps in chosen.dropped.most_common())
        raise UsageError(
            f"there is no state to ask at among the {chosen.steps:,} steps of {store}: {reasons or 'none'}"
        )
    return [(number, state_hash) for state_hash, number in found.items()]


def _seed(state_hash: str, sample: int) -> int:
    """The same for the same question, and of the 31 bits that every server takes."""
    return int.from_bytes(hashlib.sha256(f"{state_hash}:{sample}".encode()).digest()[:4]) >> 1


def lines(answers: Answers, student: str) -> Sequence[str]:
    """The answers for people."""
    valid = answers.faults["none"]
    replies = answers.faults.total()
    out = [
        f"{student}: {answers.asked:,} questions at {answers.states:,} states, {answers.known:,} were answered before",
        f"{replies:,} replies, {valid:,} of them valid actions; {answers.tokens:,} tokens, ${answers.usd:.4f}",
    ]
    out += [f"  {n:>6,}  {code}" for code, n in sorted(answers.faults.items(), key=lambda item: (-item[1], item[0]))]
    if answers.bound:
        out.append(f"stopped by {answers.bound}; the same command goes on where it stopped")
    for error, n in answers.failures.most_common(3):
        out.append(f"{n:,} failed: {error}")
    if answers.failures:
        out.append("the same command asks the failed ones again")
    return out
