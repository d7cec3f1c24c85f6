"""From the store to the pairs of a dataset: make them, lint them, keep what the shares and the length bound allow."""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Self

import duckdb

from builders import leakage, rollouts, selection, teachers
from builders.arguments import rollout_rules
from builders.choices import RolloutRules
from builders.examples import Pair
from builders.leakage import HeldOut
from builders.pairs.at_state import AtTeachers, best_and_worst, read_mix, read_samples, read_verdicts
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
        asked = self._asked(connection)
        found: dict[str, tuple[Selected, str]] = {}
        if not {"same_state", "corruption"}.isdisjoint(rules.mix):
            found["same_state"] = self._of_teachers(connection, held_out, lot, asked)
        if "student_best_worst" in rules.mix and asked:
            found["student_best_worst"] = self._of_students(connection, held_out, lot, asked)
        if "rollouts" in rules.mix:
            found["rollouts"] = self._of_rollouts(connection, held_out, lot)
        steps, *_ = [steps for steps, _ in found.values()]
        others = [(name, of.dropped) for name, (of, _) in found.items() if of is not steps and of.dropped]
        chosen = lot.choose()
        return Plan(
            parts=[spool.get(pair.number for pair in chosen)],
            total=len(chosen),
            families=Counter(pair.family for pair in chosen),
            steps=steps.steps,
            dropped=steps.dropped,
            held_out=held_out,
            query="\n".join(query for _, query in found.values()),
            remarks=lambda: [*lot.remarks(), *self._remarks, *itertools.starmap(_also_left_out, others)],
            pairs=lot.account(),
        )

    def _asked(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """The students whose replies are used."""
        recorded = _models(connection, "branches") if branches.exists(connection) else []
        known = {*recorded, *_models(connection, "rollouts")}
        if unknown := [student for student in self._rules.students if student not in known]:
            raise UsageError(f"--student={unknown[0]}: the store has only {', '.join(sorted(known))}")
        asked = [model for model in recorded if not self._rules.students or model in self._rules.students]
        mix = self._rules.mix
        needing = [name for name in mix if name in ("same_state", "student_best_worst")]
        if needing and not asked and (len(needing) == len(mix) or any(mix.values())):
            raise UsageError(
                f"--mix wants {' and '.join(needing)}, but the store has no student's reply: `repoagent build branch` "
                "asks for them"
            )
        return asked

    def _of_teachers(
        self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut, lot: Lot, asked: list[str]
    ) -> tuple[Selected, str]:
        args, rules = self._args, self._rules
        chosen = teachers.select(connection, args, rules.students or asked, args.model, held_out)
        states = AtTeachers(
            constructions=rules.mix,
            samples=read_samples(connection, rules.students),
            verdicts=read_verdicts(connection),
            mix=self._mistakes(connection, held_out) if "corruption" in rules.mix else EVEN,
            corruptions=rules.corruptions,
            seed=rules.seed,
            trial=self._trial,
        )
        with progress("pairing", chosen.examples) as advance:
            for rollout in rollouts.read(connection, held_out, chosen.dropped):
                for step in rollout.steps:
                    lot.take(states.candidates(rollout, step))
                    advance(1)
        return chosen, selection.query(teachers.step_rules(args))

    def _of_students(
        self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut, lot: Lot, students: list[str]
    ) -> tuple[Selected, str]:
        rules = rollout_rules(self._args, require_success=False)
        if self._args.teacher:
            recorded = _models(connection, "rollouts")
            own = [model for model in students if model in recorded]
            rules = replace(rules, models=(*self._args.teacher, *own))
        apart = connection.cursor()  # its temporary tables are its own
        selection.select_rollouts(apart, rules, held_out)
        selection.select_asked_steps(apart, self._rules.students)
        asked = selection.selected(apart)
        samples = read_samples(apart, self._rules.students)
        with progress("comparing", asked.examples) as advance:
            for rollout in rollouts.read(apart, held_out, asked.dropped):
                for step in rollout.steps:
                    lot.take(best_and_worst(rollout, step, samples[step.state_hash], self._trial))
                    advance(1)
        return asked, selection.query_of_asked_steps()

    def _of_rollouts(self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut, lot: Lot) -> tuple[Selected, str]:
        apart = connection.cursor()
        selection.select_rollouts(apart, rollout_rules(self._args, require_success=False), held_out)
        contrasts = Contrasts(self._rules.rollout_output, self._rules.tail_turns)
        parted = contrasts.select(apart)
        with progress("contrasting", None):
            lot.take(contrasts.candidates(apart, held_out, parted.dropped, self._args.out.parent))
        lot.note("rollouts", contrasts.dropped)
        self._remarks += _alike(contrasts.alike)
        return parted, contrasts.query()

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

    @cached_property
    def _trial(self) -> Trial | None:
        args, registry = self._args, built_in()
        if not args.verify:
            return None
        runner = registry.runner(args.runner, "auto")
        self._stack.callback(runner.close)
        runner.check()
        return Trial(Tasks(args.suite, args.quixbugs, registry), runner)


def _models(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    found = connection.execute(f"SELECT DISTINCT model FROM {table} WHERE model IS NOT NULL ORDER BY 1").fetchall()
    return [model for (model,) in found]


def _also_left_out(construction: str, dropped: Counter[str]) -> str:
    reasons = ", ".join(f"{steps:,} {reason}" for reason, steps in dropped.most_common())
    return f"Of the same recorded steps, {construction} left out others: {reasons}."


def _alike(tasks: Sequence[str]) -> list[str]:
    return [f"No contrast, because all their rollouts ended equally well: {', '.join(tasks)}."] if tasks else []
