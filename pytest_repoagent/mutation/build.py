"""From the tasks of one side of a split to a suite of new bugs in their corrected programs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol, TypeVar

from pytest_repoagent.errors import SuiteError
from pytest_repoagent.goals import default_goal
from pytest_repoagent.mutation.candidates import Candidate, candidates
from pytest_repoagent.mutation.choose import Mutant, choose, unlike
from pytest_repoagent.mutation.gate import Gate, Known, changed_lines
from pytest_repoagent.mutation.report import Report
from pytest_repoagent.mutation.trial import Trial, judge
from pytest_repoagent.mutation.workers import Workers
from pytest_repoagent.sources.base import Source
from pytest_repoagent.suite_fields import MutatedFrom, Mutation
from pytest_repoagent.suites import MasterFile, Suite, Task
from pytest_repoagent.testrun.base import Job, Limits, Verdict

_TRIAL_S = 1.0
_SLOWER = 4.0
"""CPU seconds of a first trial: at least so many, and so many times what the corrected program takes.

They only save time: what has not ended by then is tried again with all the time that a rollout gives it.
"""
_LATE = Limits(memory_bytes=Limits().memory_bytes // 2)
"""For what is tried again: half the memory. So what either a rollout's time or its memory would end, now the one and
now the other, is dropped on any machine.
"""

_FEW = 0.25
"""The share of failing tests up to which a bug is hard to see."""

_T = TypeVar("_T")


class Track(Protocol):
    """Shows how much of something long has been done."""

    def __call__(self, items: Iterable[_T], total: int, what: str) -> Iterable[_T]:
        """Pass the items on as they come; ``what`` is being done."""
        ...


class Maker:
    """Makes the suite.

    Attributes:
        report: what became of the candidates so far.
    """

    def __init__(
        self, side: Suite, source: Source, known: Mapping[str, Known], workers: Workers, track: Track, seed: int
    ) -> None:
        """Take what is needed: the programs of ``side``, served by ``source``, and every known bug of its master."""
        self.report = Report()
        self._side, self._source, self._known = side, source, known
        self._workers, self._track, self._seed = workers, track, seed
        self._tasks = {task.task_id: task for task in side.tasks}
        self._limits: dict[str, Limits] = {}

    def make(self, name: str, per_program: int) -> MasterFile:
        """The suite file.

        Raises:
            SuiteError: a corrected program does not pass its tests, or no mutant would do.
            UsageError, InfrastructureError: the tests cannot be run.
        """
        bugs = self._known_trials()
        tried = self._tried()
        programs = [self._usable(task_id, tried[task_id], bugs[task_id]) for task_id in self._tasks]
        chosen = choose(programs, per_program)
        self._drop("surplus", [mutant for mutants in programs for mutant in mutants], chosen)
        tasks = [self._task(mutant) for mutant in self._confirmed(chosen)]
        if not tasks:
            raise SuiteError(f"{self._side.path}: no mutant of its programs would do as a task")
        side = self._side
        return MasterFile(
            schema=1,
            name=name,
            source=side.source,
            commit=side.commit,
            split=side.split,
            mutated_from=MutatedFrom(
                suite=side.name, sha256=side.sha256, seed=self._seed, version=version("pytest-repoagent")
            ),
            tasks=tuple(sorted(tasks, key=lambda task: task.task_id)),
        )

    def _known_trials(self) -> dict[str, Trial]:
        """How each program's own bug fails; proves on the way that the corrected program passes."""
        tasks = list(self._tasks.values())
        correct = [self._job(task, self._known[task.task_id].correct, Limits()) for task in tasks]
        for task, verdict in zip(tasks, self._run(correct, "corrected programs"), strict=True):
            if not verdict.passed:
                raise SuiteError(
                    f"{self._side.path}: the corrected program of {task.task_id} does not pass ({verdict.reason})"
                )
            self._limits[task.task_id] = Limits(cpu_s=max(_TRIAL_S, _SLOWER * verdict.cpu_s))
        buggy = [self._job(task, None, self._limits[task.task_id]) for task in tasks]
        verdicts = self._run(buggy, "known bugs")
        return {t.task_id: judge(v, t.expected_tests.passed) for t, v in zip(tasks, verdicts, strict=True)}

    def _tried(self) -> dict[str, list[Mutant]]:
        """The mutants of each program that the gate lets through, and that a test shows to be wrong."""
        gate = Gate(self._known.values())
        waiting: list[tuple[Task, Candidate]] = []
        for task in self._track(self._tasks.values(), len(self._tasks), "programs read"):
            own = self._known[task.task_id]
            for candidate in candidates(own.correct):
                refusal = gate.refusal(candidate.text, candidate.line, own)
                if refusal:
                    self.report.note([candidate], refusal)
                else:
                    waiting.append((task, candidate))
        verdicts = self._run([self._job(task, c.text, self._limits[task.task_id]) for task, c in waiting], "mutants")
        late = [i for i, verdict in enumerate(verdicts) if verdict.reason == "timed_out"]
        jobs = [self._job(waiting[i][0], waiting[i][1].text, _LATE) for i in late]
        for i, verdict in zip(late, self._run(jobs, "mutants that ran on"), strict=True):
            verdicts[i] = verdict
        tried: dict[str, list[Mutant]] = {task_id: [] for task_id in self._tasks}
        for (task, candidate), verdict in zip(waiting, verdicts, strict=True):
            trial = judge(verdict, task.expected_tests.passed)
            if trial.fate == "usable":
                tried[task.task_id].append(Mutant(task.task_id, candidate, trial))
            else:
                self.report.note([candidate], trial.fate)
        return tried

    def _usable(self, task_id: str, mutants: Sequence[Mutant], bug: Trial) -> list[Mutant]:
        """Those that leave a test passing, all where none does; no two alike; in the order of the seed."""
        some_pass = [mutant for mutant in mutants if mutant.trial.passing] or list(mutants)
        own = self._known[task_id]
        different = unlike(some_pass, changed_lines(own.correct, own.buggy), bug, self._seed)
        self._drop("no_test_passes", mutants, some_pass)
        self._drop("alike", some_pass, different)
        return different

    def _confirmed(self, chosen: Sequence[Mutant]) -> list[Mutant]:
        """Those that fail again in the same way; what runs forever has been run twice.

        Program by program, because a warm runner has only the tests of some programs ready.
        """
        chosen = sorted(chosen, key=lambda mutant: mutant.parent)
        ended = [mutant for mutant in chosen if mutant.trial.symptom != "timeout"]
        jobs = [self._job(self._tasks[m.parent], m.candidate.text, Limits()) for m in ended]
        again = {
            mutant: judge(verdict, self._tasks[mutant.parent].expected_tests.passed)
            for mutant, verdict in zip(ended, self._run(jobs, "chosen mutants again"), strict=True)
        }
        confirmed = [mutant for mutant in chosen if again.get(mutant, mutant.trial) == mutant.trial]
        self._drop("unstable", chosen, confirmed)
        self.report.note((mutant.candidate for mutant in confirmed), "task")
        return confirmed

    def _drop(self, fate: str, mutants: Sequence[Mutant], kept: Sequence[Mutant]) -> None:
        stay = set(kept)
        self.report.note((mutant.candidate for mutant in mutants if mutant not in stay), fate)

    def _run(self, jobs: Sequence[Job], what: str) -> list[Verdict]:
        return list(self._track(self._workers.run(jobs), len(jobs), what))

    def _job(self, task: Task, text: str | None, limits: Limits) -> Job:
        files = self._source.files(task)
        return Job(
            root=files.root,
            paths=files.paths,
            candidate={} if text is None else {task.expected_files[0]: text},
            command=task.command,
            expected_passed=task.expected_tests.passed,
            expected_skipped=task.expected_tests.skipped,
            limits=limits,
            editable=task.editable,
        )

    def _task(self, mutant: Mutant) -> Task:
        parent, candidate, trial = self._tasks[mutant.parent], mutant.candidate, mutant.trial
        program = parent.expected_files[0]
        tests = next(word for word in parent.command[3:] if not word.startswith("-")).partition("::")[0]
        sha256 = _sha256(candidate.text)
        changes: dict[str, Any] = {
            "task_id": f"{parent.task_id}.{sha256[:8]}",
            "goal": default_goal(program, tests),
            "files": {**parent.files, program: sha256},
            "fix": {program: _sha256(self._known[parent.task_id].correct)},
            "metadata": {
                "difficulty": _difficulty(candidate, trial),
                "category": parent.metadata.category,
                "defect_class": candidate.operator.defect_class,
            },
            "mutation": Mutation(
                parent=parent.task_id,
                operator=candidate.operator.name,
                line=candidate.line,
                new=candidate.new,
                symptom=trial.symptom,
                failing=trial.failing,
            ),
        }
        return Task.model_validate(parent.model_dump() | changes)


def _difficulty(candidate: Candidate, trial: Trial) -> str:
    """How much the test report tells: where it crashed; little, if few tests fail, none ends, or nothing is there."""
    if trial.symptom == "crash" and candidate.new is not None:
        return "easy"
    few = trial.failing <= _FEW * (trial.failing + trial.passing)
    return "hard" if few or trial.symptom == "timeout" or candidate.new is None else "medium"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
