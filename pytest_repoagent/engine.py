"""Decides which rollouts run and when: so many at a time in this process, each at most once in a run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pytest_repoagent import output, trace
from pytest_repoagent.ahead import Ahead, allow_open_files
from pytest_repoagent.attempts import LOCKS, Attempts
from pytest_repoagent.budget import Bounds
from pytest_repoagent.fold import fold
from pytest_repoagent.models.base import Model, RolloutKey
from pytest_repoagent.prices import Price, price_of
from pytest_repoagent.registry import Registry
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.settings import Settings
from pytest_repoagent.stopping import StopSign
from pytest_repoagent.suites import Suite
from pytest_repoagent.workshop import Run, Workshop

_POLL_S = 0.01
_DEADLY = 2
"""Attempts after which a rollout that never ends is only made for its own item, which is blamed if it kills again."""


class Place(Protocol):
    """Where rollouts are made: :class:`Workshop` in this process, :mod:`pytest_repoagent.cluster` elsewhere."""

    @property
    def sandbox(self) -> str:
        """See :attr:`Workshop.sandbox`."""
        ...

    @property
    def where(self) -> str:
        """Where that is, in words; empty for here."""
        ...

    def check(self) -> None:
        """See :meth:`Workshop.check`."""
        ...

    def room(self) -> int:
        """See :meth:`Workshop.room`."""
        ...

    def make(self, key: RolloutKey, attempt: int, log: trace.Events) -> None:
        """See :meth:`Workshop.make`."""
        ...


class Engine:
    """One run's rollouts, as far as this process runs them.

    Building one verifies the suite against its source and calls no model; models and the test runner are made when
    first needed.
    """

    def __init__(
        self,
        settings: Settings,
        suite: Suite,
        registry: Registry,
        run_id: str,
        started_at: str,
        bounds: Bounds | None = None,
        session: str = "only",
    ) -> None:
        """Verify the suite's files.

        ``bounds`` are what the run may spend, None for no bounds. ``session`` names the pytest session among those of
        the run; its processes stop together, and nobody else with them.

        Raises:
            UsageError: the suite's source is unknown, cannot be had, or holds other files than the suite pins.
        """
        self.suite = suite
        self.run_id = run_id
        self.started_at = started_at
        self.bounds = bounds or Bounds()
        self.session = session
        run = Run(run_id, started_at, settings, suite, self.bounds)
        self.run_dir = run.folder
        self.account = run.account()
        self.tasks = {task.task_id: task for task in suite.tasks}
        self.stop = StopSign(self.run_dir / LOCKS / f"stop-{session}")
        source = registry.source(suite, settings.quixbugs)
        self.workshop = Workshop(run, registry, source, self.account, run.pacing(), self.stop)
        self.place: Place = self.workshop
        self._ahead: Ahead | None = None
        self.again: set[str] = set()
        self._told: set[str] = set()  # spoiled rollouts that an item of this process was given

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.workshop.run.settings

    @property
    def settings_hash(self) -> str:
        """See :attr:`Workshop.settings_hash`."""
        return self.workshop.settings_hash

    def keys(self) -> list[RolloutKey]:
        """Every rollout of the run: tasks in suite order, then models, then repeats."""
        return [
            RolloutKey(task.task_id, spec, index, self.settings.seed + index)
            for task in self.suite.tasks
            for spec in self.settings.model
            for index in range(self.settings.rollouts)
        ]

    def check(self) -> None:
        """Fail now where every rollout would fail.

        Raises:
            UsageError: a model or the test runner cannot be used.
        """
        self.place.check()

    def choose_concurrency(self, processes: int) -> None:
        """Where the user chose none, take what there is room for, shared out among the run's processes.

        Raises:
            UsageError: it is more than this machine allows.
        """
        if self.settings.concurrency is None:
            self.change(concurrency=max(1, self.place.room() // processes))
        allow_open_files(min(self._concurrency, len(self.keys())))

    def change(self, **settings: object) -> None:
        """Change settings that shape no rollout, before the first one."""
        changed = self.settings.model_copy(update=settings)
        self.workshop.run = replace(self.workshop.run, settings=changed)

    def model(self, spec: str) -> Model:
        """See :meth:`Workshop.model`."""
        return self.workshop.model(spec)

    def price(self, spec: str) -> Price | None:
        """The price of a model, None where it is unknown."""
        return price_of(spec, self.settings.price)

    def attempt_again(self, rollout_ids: Iterable[str]) -> None:
        """Have these rollouts, which are spoiled, attempted again where they are the last attempts."""
        self.again.update(rollout_ids)

    def start_ahead(self, keys: Iterable[RolloutKey]) -> None:
        """Have these rollouts run, in this order, as far as nobody else does; nothing happens at a concurrency of 1."""
        if self._concurrency > 1:
            self._ahead = Ahead(self._run_ahead, keys, self._concurrency, self.stop)

    def finish(self) -> None:
        """Wait for what :meth:`start_ahead` was given."""
        if self._ahead is not None:
            self._ahead.finish()

    def run(self, key: RolloutKey) -> Rollout:
        """The run's rollout for ``key``: run now, awaited where it is in flight, or read from its trace.

        A rollout that was killed is attempted again, as is one that ended in provider or infrastructure trouble when
        it is asked for again; every attempt keeps its trace.

        Raises:
            Stopped: the session ends before its time.
        """
        attempts = self._attempts(key)
        while True:
            with attempts.alone() as mine:
                done = attempts.last() if mine else None
                if mine and not self._ahead and self._is_due(done):
                    done = self._attempt(key, attempts)
            if done is not None and not self._is_due(done):
                break
            if mine and self._ahead:
                self._ahead.want(key)
            self.stop.heed()
            time.sleep(_POLL_S)
        if not done.counted:
            self._told.add(done.rollout_id)
        return done

    def close(self) -> None:
        """Stop what this process keeps running; what is needed again is made again."""
        if self._ahead is not None:
            self._ahead.close()
        self.account.close()
        self.workshop.close()

    @property
    def _concurrency(self) -> int:
        return self.settings.concurrency or 1

    def _is_due(self, last: Rollout | None, wanted: bool = True) -> bool:
        return last is None or last.rollout_id in self.again or (wanted and last.rollout_id in self._told)

    def _run_ahead(self, key: RolloutKey, wanted: bool) -> None:
        attempts = self._attempts(key)
        with attempts.alone() as mine:
            last = attempts.last()
            deadly = last is None and attempts.number() >= _DEADLY  # it may be what killed its processes
            if mine and self._is_due(last, wanted) and (wanted or not deadly):
                with output.kept() as said:
                    done = self._attempt(key, attempts)
                said.save(Path(done.trace_path))

    def _attempts(self, key: RolloutKey) -> Attempts:
        return Attempts(self.run_dir, key, self.tasks[key.task_id].name)

    def _attempt(self, key: RolloutKey, attempts: Attempts) -> Rollout:
        self.stop.heed()
        number = attempts.number()
        path = attempts.path(number)
        with trace.Trace(path) as log:
            self.place.make(key, number, log)
        return fold(log.events, str(path))
