"""Pairs at a teacher's state: against a student's replies, between them, and against the teacher's action spoiled."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
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
class AtState:
    """Makes the pairs of one state after another.

    Attributes:
        constructions: which of ``same_state``, ``student_best_worst`` and ``corruption``.
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
    _compared: set[str] = field(default_factory=set)

    def candidates(self, rollout: RecordedRollout, step: RecordedStep) -> Iterator[Candidate]:
        """The pairs at one recorded step, good and bad."""
        assert step.action is not None
        history = History(step.messages)
        untested = judge(history, step.action)
        teacher = judge(history, step.action, tests=self._tests(rollout, step, history, untested.action))
        state = rollout.state(step)
        samples = dict.fromkeys(self.samples.get(step.state_hash, ()))
        judged = [(sample.model, self._judge(rollout.task_id, history, sample)) for sample in samples]
        if "same_state" in self.constructions:
            for model, student in judged:
                better = untested if student.tests is None and _writes(student.action) else teacher
                yield _pair(rollout, step, history, better, student, "same_state", f"student:{model}")
        if "student_best_worst" in self.constructions and state.state_hash not in self._compared:
            self._compared.add(state.state_hash)
            for model in sorted({model for model, _ in judged}):
                ranked = sorted((reply for name, reply in judged if name == model), key=lambda reply: -reply.points)
                if len(ranked) > 1:
                    yield _pair(rollout, step, history, ranked[0], ranked[-1], "student_best_worst", f"student:{model}")
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

    def _judge(self, task_id: str, history: History, sample: Sample) -> Judged:
        action = parse_reply(sample.raw, sample.finish_reason).action
        came = self.trial.run(task_id, history, action) if self.trial and action else Outcome()
        return judge(history, sample.raw, sample.finish_reason, came.tests, came.refused)

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
