"""Pairs at one state: a teacher's action against a student's or itself spoiled, or two replies of a student."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import duckdb

from builders.history import History, parse_reply
from builders.pairs.corruptions import Mix, draw
from builders.pairs.lint import Candidate
from builders.pairs.rubric import Judged, judge
from builders.pairs.trial import Outcome, Trial
from builders.rollouts import RecordedRollout, RecordedStep
from builders.selection import sql
from pytest_repoagent.protocol.actions import Action, ToolCall
from pytest_repoagent.protocol.codes import CODES
from pytest_repoagent.store import branches


class Sample(NamedTuple):
    """A student's reply at a state."""

    model: str
    raw: str
    finish_reason: str | None


@dataclass
class AtTeachers:
    """Makes the pairs of one teacher's state after another.

    Attributes:
        constructions: which of ``same_state`` and ``corruption``.
        samples: state hash -> the students' replies there.
        verdicts: rollout and step -> whether the tests passed after it.
        mix: what the corruptions are drawn from.
        corruptions: how many there are of each state.
        seed: of the draws.
        trial: runs actions; None to judge by the rubric alone.
    """

    constructions: Collection[str]
    samples: Mapping[str, list[Sample]]
    verdicts: Mapping[tuple[str, int], bool]
    mix: Mix
    corruptions: int
    seed: int
    trial: Trial | None

    def candidates(self, rollout: RecordedRollout, step: RecordedStep) -> Iterator[Candidate]:
        """The pairs at a teacher's recorded step, good and bad."""
        assert step.action is not None
        history = History(step.messages)
        untested = judge(history, step.action)
        teacher = judge(history, step.action, tests=self._tests(rollout, step, history, untested.action))
        if "same_state" in self.constructions:
            for sample in dict.fromkeys(self.samples.get(step.state_hash, ())):
                student = _judged(rollout.task_id, history, sample, self.trial)
                better = untested if student.tests is None and _writes(student.action) else teacher
                yield _pair(rollout, step, history, better, student, "same_state", f"student:{sample.model}")
        if "corruption" in self.constructions and teacher.action is not None:
            yield from self._corrupted(rollout, step, history, teacher, teacher.action)

    def _tests(
        self, rollout: RecordedRollout, step: RecordedStep, history: History, action: Action | None
    ) -> bool | None:
        """Whether they pass after the teacher's action: as recorded, else as a trial has it."""
        recorded = self.verdicts.get((rollout.rollout_id, step.step))
        if recorded is None and self.trial and action and _writes(action):
            return self.trial.run(rollout.task_id, history, action).tests
        return recorded

    def _corrupted(
        self, rollout: RecordedRollout, step: RecordedStep, history: History, teacher: Judged, action: Action
    ) -> Iterator[Candidate]:
        digest = hashlib.sha256(
            f"{self.seed}:{step.state_hash}:{step.action}".encode("utf-8", "surrogatepass")
        ).digest()
        random = Random(int.from_bytes(digest))
        for _ in range(self.corruptions):
            drawn = draw(action, history, self.mix, random)
            if drawn is None:
                return
            code, text = drawn
            refused = code if CODES[code].stage in ("value", "tool") else None
            spoiled = judge(history, text, "length" if code == "truncated" else None, refused=refused)
            yield _pair(rollout, step, history, teacher, spoiled, "corruption", code=code)


def best_and_worst(
    rollout: RecordedRollout, step: RecordedStep, samples: Sequence[Sample], trial: Trial | None
) -> Iterator[Candidate]:
    """The best of each student's replies at a recorded state against the worst of them.

    Args:
        rollout: where the state is; where it is the student's, what it did there is one of its replies.
        step: its step there.
        samples: the students' replies.
        trial: as :attr:`AtTeachers.trial`.
    """
    history = History(step.messages)
    said = dict.fromkeys([*samples, Sample(rollout.model, step.raw, None)])
    judged = [(sample.model, _judged(rollout.task_id, history, sample, trial)) for sample in said]
    for model in sorted({sample.model for sample in samples}):
        ranked = sorted((reply for name, reply in judged if name == model), key=lambda reply: -reply.points)
        if len(ranked) > 1:
            yield _pair(rollout, step, history, ranked[0], ranked[-1], "student_best_worst", f"student:{model}")


def _judged(task_id: str, history: History, sample: Sample, trial: Trial | None) -> Judged:
    action = parse_reply(sample.raw, sample.finish_reason).action
    came = trial.run(task_id, history, action) if trial and action else Outcome()
    return judge(history, sample.raw, sample.finish_reason, came.tests, came.refused)


def _writes(action: Action | None) -> bool:
    return isinstance(action, ToolCall) and action.name == "write_file"


def _pair(
    rollout: RecordedRollout,
    step: RecordedStep,
    history: History,
    preferred: Judged,
    rejected: Judged,
    construction: str,
    *tags: str,
    code: str | None = None,
) -> Candidate:
    code = code or (rejected.faults[0] if rejected.faults else "none")
    margin = preferred.points - rejected.points
    return Candidate(rollout.state(step), history, preferred, rejected, construction, margin, (f"code:{code}", *tags))


def read_samples(connection: duckdb.DuckDBPyConnection, students: Collection[str]) -> dict[str, list[Sample]]:
    """The recorded replies of students at the selected states, in the order of samples."""
    found: dict[str, list[Sample]] = defaultdict(list)
    if branches.exists(connection):
        rows = connection.execute(sql("samples"), {"students": list(students)}).fetchall()
        for state_hash, model, raw, finish_reason in rows:
            found[state_hash].append(Sample(model, raw, finish_reason))
    return dict(found)


def read_verdicts(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], bool]:
    """What the driver's tests said after the selected writes."""
    rows = connection.execute(sql("verdicts")).fetchall()
    return {(rollout_id, step): passed for rollout_id, step, passed in rows}


def read_mix(connection: duckdb.DuckDBPyConnection, model: str) -> dict[str, int]:
    """How often a model made each mistake in usable rollouts of its own, or else in branches; empty where never."""
    found = dict(connection.execute(sql("mistakes"), {"model": model}).fetchall())
    if not found and branches.exists(connection):
        found = dict(connection.execute(sql("mistakes_in_branches"), {"model": model}).fetchall())
    return found
