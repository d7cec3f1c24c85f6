"""From the store to the pairs of a dataset: make them, lint them, keep what the shares and the length bound allow."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import duckdb

from builders import leakage, rollouts, selection, teachers
from builders.arguments import rollout_rules
from builders.choices import RolloutRules
from builders.examples import Pair
from builders.leakage import HeldOut
from builders.pairs.at_state import AtState, read_mix, read_samples, read_verdicts
from builders.pairs.contrast import Contrasts
from builders.pairs.corruptions import CORRUPTIONS, EVEN, Mix
from builders.pairs.lot import Lot
from builders.pairs.rules import PairRules
from builders.pairs.trial import Trial
from builders.plan import Plan
from builders.progress import progress
from builders.selection import Selected
from builders.spool import Spool
from builders.tasks import Tasks
from pytest_repoagent.errors import UsageError
from pytest_repoagent.registry import built_in
from pytest_repoagent.store import branches


class Pairing:
    """Makes the plan of one dataset; a context, because pairs wait on disk and a test runner may be kept running."""

    def __init__(self, args: argparse.Namespace, rules: PairRules) -> None:
        """Take the options of :mod:`builders.preferences`."""
        self._args, self._rules = args, rules
        self._stack = ExitStack()
        self._remarks: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    def plan(self, connection: duckdb.DuckDBPyConnection) -> Plan:
        """Make every pair, and choose.

        Raises:
            UsageError: no good pair is left, a share cannot be had, or an option does not fit the store.
            InfrastructureError: the disk or the test runner failed.
        """
        args, rules = self._args, self._rules
        held_out = leakage.load(connection, args.suite, args.quixbugs)
        spool = self._stack.enter_context(Spool[Pair](args.out.parent))
        lot = Lot(rules, held_out, spool)
        found: list[Selected] = []
        queries: list[str] = []
        students = self._students(connection)
        if set(rules.mix) != {"rollouts"}:
            chosen_steps = teachers.select(connection, args, students, args.model, held_out)
            states = self._at_state(connection, held_out)
            with progress("pairing", chosen_steps.examples) as advance:
                for rollout in rollouts.read(connection, held_out, chosen_steps.dropped):
                    for step in rollout.steps:
                        lot.take(states.candidates(rollout, step))
                        advance(1)
            found.append(chosen_steps)
            queries.append(selection.query(teachers.step_rules(args)))
        if "rollouts" in rules.mix:
            apart = connection.cursor()  # its temporary tables are its own
            selection.select_rollouts(apart, rollout_rules(args, require_success=False), held_out)
            contrasts = Contrasts(rules.rollout_output, rules.tail_turns)
            parted = contrasts.select(apart)
            with progress("contrasting", None):
                lot.take(contrasts.candidates(apart, held_out, parted.dropped, args.out.parent))
            lot.note("rollouts", contrasts.dropped)
            self._remarks += _alike(contrasts.alike)
            if found:
                self._remarks += _also_left_out(parted.dropped)
            found.append(parted)
            queries.append(contrasts.query())
        chosen = lot.choose()
        return Plan(
            rows=spool.get(pair.number for pair in chosen),
            total=len(chosen),
            families=Counter(pair.family for pair in chosen),
            steps=found[0].steps,
            dropped=found[0].dropped,
            held_out=held_out,
            query="\n".join(queries),
            remarks=lambda: [*lot.remarks(), *self._remarks],
            pairs=lot.account(),
        )

    def _students(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        asked = _models(connection, "branches") if branches.exists(connection) else []
        known = sorted({*asked, *_models(connection, "rollouts")})
        if unknown := [student for student in self._rules.students if student not in known]:
            raise UsageError(f"--student={unknown[0]}: the store has only {', '.join(known)}")
        return list(self._rules.students) or asked

    def _at_state(self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut) -> AtState:
        rules = self._rules
        samples = read_samples(connection, rules.students)
        wanting = {"same_state", "student_best_worst"} & {name for name, share in rules.mix.items() if share}
        if wanting and not samples:
            raise UsageError(
                f"--mix wants {' and '.join(sorted(wanting))}, but the store has no student's reply at these states: "
                "`repoagent build branch` asks for them"
            )
        return AtState(
            constructions=rules.mix,
            samples=samples,
            verdicts=read_verdicts(connection),
            mix=self._mistakes(connection, held_out) if "corruption" in rules.mix else EVEN,
            corruptions=rules.corruptions,
            seed=rules.seed,
            trial=self._trial() if self._args.verify else None,
        )

    def _mistakes(self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut) -> Mix:
        model = self._rules.like_model
        if model is None:
            return EVEN
        apart = connection.cursor()
        selection.select_rollouts(apart, RolloutRules(require_success=False), held_out)
        mistakes = read_mix(apart, model)
        known = {code: n for code, n in mistakes.items() if code in CORRUPTIONS}
        if not known:
            raise UsageError(f"--like-model={model}: the store has no mistake of this model at training tasks")
        self._remarks.append(
            f"Corruptions are drawn from {sum(known.values()):,} mistakes of {model} of {len(known)} kinds."
        )
        if others := sorted(mistakes.keys() - known.keys()):
            self._remarks.append(f"Its other mistakes cannot be made on purpose: {', '.join(others)}.")
        return known

    def _trial(self) -> Trial:
        args, registry = self._args, built_in()
        runner = registry.runner(args.runner, "auto")
        self._stack.callback(runner.close)
        runner.check()
        return Trial(Tasks(args.suite, args.quixbugs, registry), runner)


def _models(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    found = connection.execute(f"SELECT DISTINCT model FROM {table} WHERE model IS NOT NULL ORDER BY 1").fetchall()
    return [model for (model,) in found]


def _also_left_out(dropped: Counter[str]) -> list[str]:
    reasons = ", ".join(f"{steps:,} {reason}" for reason, steps in dropped.most_common())
    return [f"Pairs of rollouts, of the same recorded steps, left out others: {reasons}."] if dropped else []


def _alike(tasks: Sequence[str]) -> list[str]:
    return [f"No contrast, because all their rollouts ended equally well: {', '.join(tasks)}."] if tasks else []
