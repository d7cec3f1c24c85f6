"""Runs rollouts: so many at a time in this process, each at most once in a run, whichever process asks first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_repoagent import output, trace
from pytest_repoagent.agent import Agent
from pytest_repoagent.ahead import Ahead, allow_open_files
from pytest_repoagent.attempts import LOCKS, Attempts, digest
from pytest_repoagent.budget import FILE as ACCOUNT
from pytest_repoagent.budget import Account, Bounds, Metered
from pytest_repoagent.facts import run_facts, task_facts
from pytest_repoagent.fold import fold
from pytest_repoagent.goals import paraphrase
from pytest_repoagent.isolation import demand_full
from pytest_repoagent.models.base import Conversation, Model, ModelContext, RolloutKey
from pytest_repoagent.pace import FOLDER as PACE
from pytest_repoagent.pace import Pacing
from pytest_repoagent.prices import Price, price_of
from pytest_repoagent.protocol.render import system_prompt
from pytest_repoagent.registry import Registry
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.settings import Settings
from pytest_repoagent.stopping import Stoppable, StopSign
from pytest_repoagent.suites import Suite
from pytest_repoagent.testrun.base import Job, Limits, Runner, Verdict
from pytest_repoagent.waiting import Stopwatch, Turns
from pytest_repoagent.workspace import Workspace

_POLL_S = 0.01
_DEADLY = 2
"""Attempts after which a rollout that never ends is only made for its own item, which is blamed if it kills again."""


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
        self.settings = settings
        self.suite = suite
        self.registry = registry
        self.run_id = run_id
        self.started_at = started_at
        self.bounds = bounds or Bounds()
        self.session = session
        self.run_dir = settings.trace_root / run_id
        self.account = Account(self.run_dir / ACCOUNT)
        self.tasks = {task.task_id: task for task in suite.tasks}
        self.source = registry.source(suite, settings.quixbugs)
        self.stop = StopSign(self.run_dir / LOCKS / f"stop-{session}")
        self._models: dict[str, Model] = {}
        self._runner: Runner | None = None
        self._making = threading.RLock()
        self._testing = Turns()
        self._ahead: Ahead | None = None
        self.again: set[str] = set()
        self._told: set[str] = set()  # spoiled rollouts that an item of this process was given

    @cached_property
    def settings_hash(self) -> str:
        """Names the settings that shape the run's rollouts, the tools among them."""
        tools = [tool.spec for tool in self.registry.tools.values()]
        return self.settings.settings_hash(system_prompt(tools, self.settings.test_policy))

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
        runner = self.runner()
        if self.settings.test_policy != "never":
            runner.check()
        for spec in self.settings.model:
            self.model(spec).check()

    def choose_concurrency(self, processes: int) -> None:
        """Where the user chose none, take what suits the models, shared out among the run's processes.

        Raises:
            UsageError: it is more than this machine allows.
        """
        if self.settings.concurrency is None:
            suits = max(getattr(self.model(spec), "concurrency", 1) for spec in self.settings.model)
            self.settings = self.settings.model_copy(update={"concurrency": max(1, suits // processes)})
        allow_open_files(min(self._concurrency, len(self.keys())))

    def model(self, spec: str) -> Model:
        """This process' model of a resolved spec."""
        with self._making:
            if spec not in self._models:
                self._models[spec] = self.registry.build_model(spec, self._model_context())
            return self._models[spec]

    def price(self, spec: str) -> Price | None:
        """The price of a model, None where it is unknown."""
        return price_of(spec, self.settings.price)

    def runner(self) -> Runner:
        """This process' test runner.

        Raises:
            UsageError: it is unknown, cannot be made here, or has less of a sandbox than ``--sandbox=strict`` demands.
        """
        with self._making:
            if self._runner is None:
                runner = self.registry.runner(self.settings.runner, self.settings.sandbox)
                if self.settings.sandbox == "strict":
                    demand_full(runner)
                self._runner = runner
            return self._runner

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
        with self._testing:
            if self._runner is not None:
                self._runner.close()
                self._runner = None

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
        runner = self.runner()
        number = attempts.number()
        path = attempts.path(number)
        with trace.Trace(path) as log:
            self._rollout(key, number, runner, log)
        return fold(log.events, str(path))

    def _rollout(self, key: RolloutKey, attempt: int, runner: Runner, log: trace.Trace) -> None:
        task = self.tasks[key.task_id]
        files = self.source.files(task)
        workspace = Workspace(files.root, files.paths, task.editable)
        watch = Stopwatch()
        known = self.price(key.model)
        price = known.usd if known else None

        def run_tests() -> Verdict:
            job = Job(
                root=files.root,
                paths=files.paths,
                candidate=workspace.candidate(),
                command=task.command,
                expected_passed=task.expected_tests.passed,
                expected_skipped=task.expected_tests.skipped,
                limits=Limits(cpu_s=self.settings.test_timeout),
                editable=task.editable,
            )
            with ExitStack() as turn:
                with watch.stopped():
                    turn.enter_context(self._testing)
                self.stop.heed()
                return runner.run(job)

        log.emit(
            "run_start",
            schema=trace.SCHEMA,
            rollout_id=digest(self.run_id, key.model, key.task_id, str(key.index), str(attempt))[:16],
            run_id=self.run_id,
            task_id=key.task_id,
            model=key.model,
            index=key.index,
            seed=key.seed,
            attempt=attempt,
            run=run_facts(self, runner),
            task=task_facts(task),
        )
        Agent(
            goal=paraphrase(task, self.settings.paraphrase, key.seed),
            start=lambda: self._converse(key, price),
            workspace=workspace,
            tools=self.registry.tools,
            run_tests=run_tests,
            settings=replace(self.settings.agent(), price_usd=price),
            trace=log,
            watch=watch,
        ).run()

    def _converse(self, key: RolloutKey, price: tuple[float, float] | None) -> Conversation:
        conversation = self.model(key.model).start(key)
        return Stoppable(Metered(conversation, self.account, self.bounds, key.model, price), self.stop)

    def _model_context(self) -> ModelContext:
        settings = self.settings

        def known_fix(task_id: str) -> Mapping[str, str]:
            return self.source.fix(self.tasks[task_id])

        return ModelContext(
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            base_url=settings.base_url,
            request_timeout_s=settings.request_timeout,
            retries=settings.retries,
            trace_root=settings.trace_root,
            known_fix=known_fix,
            build=self.model,
            pacing=Pacing(self.run_dir / PACE, settings.max_requests_per_minute, settings.max_tokens_per_minute),
        )
