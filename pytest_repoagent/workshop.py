"""How one rollout is made: a task's files, a model, the tools and a test runner, put together for an agent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pytest_repoagent.agent import Agent
from pytest_repoagent.attempts import digest
from pytest_repoagent.budget import FILE as ACCOUNT
from pytest_repoagent.budget import Account, AnyAccount, Bounds, Metered
from pytest_repoagent.facts import run_facts, task_facts
from pytest_repoagent.goals import paraphrase
from pytest_repoagent.isolation import demand_full
from pytest_repoagent.models.base import Conversation, Model, ModelContext, RolloutKey
from pytest_repoagent.pace import FOLDER as PACE
from pytest_repoagent.pace import AnyPacing, Pacing
from pytest_repoagent.prices import price_of
from pytest_repoagent.protocol.render import system_prompt
from pytest_repoagent.registry import Registry
from pytest_repoagent.settings import Settings
from pytest_repoagent.sources.base import Source
from pytest_repoagent.stopping import Stoppable, StopSign
from pytest_repoagent.suites import Suite
from pytest_repoagent.testrun.base import Job, Limits, Runner, Verdict
from pytest_repoagent.trace import SCHEMA, Events
from pytest_repoagent.waiting import Stopwatch, Turns
from pytest_repoagent.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """What all rollouts of a run have in common; ``bounds`` are what it may spend."""

    run_id: str
    started_at: str
    settings: Settings
    suite: Suite
    bounds: Bounds

    @property
    def folder(self) -> Path:
        """Where its traces are, and what its processes on the same machine share."""
        return self.settings.trace_root / self.run_id

    def account(self) -> Account:
        """What it has spent, as all processes see it."""
        return Account(self.folder / ACCOUNT)

    def pacing(self) -> Pacing:
        """How fast it may ask each provider, by all processes together."""
        settings = self.settings
        limits = settings.max_requests_per_minute, settings.max_tokens_per_minute
        return Pacing(self.folder / PACE, *limits, until=self.bounds.until)


class Workshop:
    """Makes a run's rollouts in this process, for any number of threads; models and the runner when first needed."""

    where = ""

    def __init__(
        self, run: Run, registry: Registry, source: Source, account: AnyAccount, pacing: AnyPacing, stop: StopSign
    ) -> None:
        """Take what the run's processes share: the account, the pace, and the sign that ends rollouts early."""
        self.run = run
        self.registry = registry
        self.source = source
        self.tasks = {task.task_id: task for task in run.suite.tasks}
        self._account = account
        self._pacing = pacing
        self._stop = stop
        self._models: dict[str, Model] = {}
        self._runner: Runner | None = None
        self._making = threading.RLock()
        self._testing = Turns()

    @cached_property
    def settings_hash(self) -> str:
        """Names the settings that shape the run's rollouts, the tools among them."""
        tools = [tool.spec for tool in self.registry.tools.values()]
        settings = self.run.settings
        return settings.settings_hash(system_prompt(tools, settings.test_policy))

    def check(self) -> None:
        """Fail now where every rollout would fail.

        Raises:
            UsageError: a model or the test runner cannot be used.
        """
        runner = self.runner()
        if self.run.settings.test_policy != "never":
            runner.check()
        for spec in self.run.settings.model:
            self.model(spec).check()

    def model(self, spec: str) -> Model:
        """This process' model of a resolved spec."""
        with self._making:
            if spec not in self._models:
                self._models[spec] = self.registry.build_model(spec, self._model_context())
            return self._models[spec]

    def runner(self) -> Runner:
        """This process' test runner.

        Raises:
            UsageError: it is unknown, cannot be made here, or has less of a sandbox than ``--sandbox=strict`` demands.
        """
        with self._making:
            if self._runner is None:
                settings = self.run.settings
                runner = self.registry.runner(settings.runner, settings.sandbox)
                if settings.sandbox == "strict":
                    demand_full(runner)
                self._runner = runner
            return self._runner

    @property
    def sandbox(self) -> str:
        """What keeps in the code that models write (see :class:`pytest_repoagent.testrun.base.Verdict`)."""
        return self.runner().sandbox

    def room(self) -> int:
        """How many rollouts at once suit the models."""
        return max(getattr(self.model(spec), "concurrency", 1) for spec in self.run.settings.model)

    def make(self, key: RolloutKey, attempt: int, log: Events, trouble: Exception | None = None) -> None:
        """Make a rollout into its trace; with ``trouble``, one that got no further than that.

        Raises:
            Stopped: the session ends before its time.
        """
        runner = self.runner()
        settings = self.run.settings
        task = self.tasks[key.task_id]
        files = self.source.files(task)
        workspace = Workspace(files.root, files.paths, task.editable)
        watch = Stopwatch()
        known = price_of(key.model, settings.price)
        price = known.usd if known else None

        def run_tests() -> Verdict:
            job = Job(
                root=files.root,
                paths=files.paths,
                candidate=workspace.candidate(),
                command=task.command,
                expected_passed=task.expected_tests.passed,
                expected_skipped=task.expected_tests.skipped,
                limits=Limits(cpu_s=settings.test_timeout),
                editable=task.editable,
            )
            with ExitStack() as turn:
                with watch.stopped():
                    turn.enter_context(self._testing)
                self._stop.heed()
                return runner.run(job)

        log.emit(
            "run_start",
            schema=SCHEMA,
            rollout_id=digest(self.run.run_id, key.model, key.task_id, str(key.index), str(attempt))[:16],
            run_id=self.run.run_id,
            task_id=key.task_id,
            model=key.model,
            index=key.index,
            seed=key.seed,
            attempt=attempt,
            run=run_facts(self, runner),
            task=task_facts(task),
        )
        Agent(
            goal=paraphrase(task, settings.paraphrase, key.seed),
            start=lambda: self._converse(key, price, trouble),
            workspace=workspace,
            tools=self.registry.tools,
            run_tests=run_tests,
            settings=replace(settings.agent(), price_usd=price),
            trace=log,
            watch=watch,
        ).run()

    def close(self) -> None:
        """Stop the runner; one that is needed again is made again."""
        with self._testing:
            if self._runner is not None:
                self._runner.close()
                self._runner = None

    def _converse(self, key: RolloutKey, price: tuple[float, float] | None, trouble: Exception | None) -> Conversation:
        if trouble is not None:
            raise trouble
        conversation = self.model(key.model).start(key)
        return Stoppable(Metered(conversation, self._account, self.run.bounds, key.model, price), self._stop)

    def _model_context(self) -> ModelContext:
        settings = self.run.settings

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
            pacing=self._pacing,
        )
