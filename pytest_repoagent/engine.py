"""Runs rollouts: one at a time in this process, each at most once in a run, whichever process asks first."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from filelock import FileLock

from pytest_repoagent import trace
from pytest_repoagent.agent import Agent
from pytest_repoagent.errors import UsageError
from pytest_repoagent.fold import fold, read_finished
from pytest_repoagent.goals import paraphrase
from pytest_repoagent.isolation import describe
from pytest_repoagent.models.base import Model, ModelContext, RolloutKey
from pytest_repoagent.protocol.render import system_prompt
from pytest_repoagent.registry import Registry
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.settings import Settings
from pytest_repoagent.suites import Suite, Task
from pytest_repoagent.testrun.base import Job, Limits, Runner, Verdict
from pytest_repoagent.workspace import Workspace


class Engine:
    """One run's rollouts, as far as this process runs them.

    Building one verifies the suite against its source and calls no model; models and the test runner are made when
    first needed.
    """

    def __init__(self, settings: Settings, suite: Suite, registry: Registry, run_id: str, started_at: str) -> None:
        """Verify the suite's files.

        Raises:
            UsageError: the suite's source is unknown, cannot be had, or holds other files than the suite pins.
        """
        self.settings = settings
        self.suite = suite
        self.registry = registry
        self.run_id = run_id
        self.started_at = started_at
        self.run_dir = settings.trace_root / run_id
        self.tasks = {task.task_id: task for task in suite.tasks}
        self.source = registry.source(suite, settings.quixbugs)
        self._models: dict[str, Model] = {}
        self._runner: Runner | None = None

    @property
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
        self.runner().check()
        for spec in self.settings.model:
            self.model(spec).check()

    def model(self, spec: str) -> Model:
        """This process' model of a resolved spec."""
        if spec not in self._models:
            self._models[spec] = self.registry.build_model(spec, self._model_context())
        return self._models[spec]

    def runner(self) -> Runner:
        """This process' test runner.

        Raises:
            UsageError: it is unknown, cannot be made here, or has less of a sandbox than ``--sandbox=strict`` demands.
        """
        if self._runner is None:
            settings = self.settings
            runner = self.registry.runner(settings.runner, settings.sandbox)
            if settings.sandbox == "strict" and runner.sandbox != "full":
                runner.close()
                raise UsageError(
                    f"--sandbox=strict wants a full sandbox, but that of --runner={settings.runner} is "
                    f"{describe(runner.sandbox)} here; `repoagent doctor` says what this machine lacks for "
                    f"--runner=warm and how to get it"
                )
            self._runner = runner
        return self._runner

    def run(self, key: RolloutKey) -> Rollout:
        """The run's rollout for ``key``: run now, or read from its trace if it is there already.

        A rollout that ended in provider or infrastructure trouble, or was killed, is attempted again when asked for
        again; every attempt keeps its trace.
        """
        stem = f"{self.tasks[key.task_id].name}-r{key.index}-{_digest(key.task_id, key.model, str(key.index))[:8]}"
        lock = self.run_dir / "locks" / stem
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            attempts = sorted(self.run_dir.glob(f"{stem}.*.jsonl"))
            if attempts and (done := read_finished(attempts[-1])) is not None and done.counted:
                return done
            attempt = len(attempts)
            path = self.run_dir / f"{stem}.{attempt:03}.jsonl"
            runner = self.runner()
            with trace.Trace(path) as log:
                self._rollout(key, attempt, runner, log)
            return fold(log.events, str(path))

    def close(self) -> None:
        """Stop what this process keeps running; what is needed again is made again."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _rollout(self, key: RolloutKey, attempt: int, runner: Runner, log: trace.Trace) -> None:
        task = self.tasks[key.task_id]
        files = self.source.files(task)
        workspace = Workspace(files.root, files.paths, task.editable)

        def run_tests() -> Verdict:
            return runner.run(
                Job(
                    root=files.root,
                    paths=files.paths,
                    candidate=workspace.candidate(),
                    command=task.command,
                    expected_passed=task.expected_tests.passed,
                    expected_skipped=task.expected_tests.skipped,
                    limits=Limits(cpu_s=self.settings.test_timeout),
                    editable=task.editable,
                )
            )

        log.emit(
            "run_start",
            schema=trace.SCHEMA,
            rollout_id=_digest(self.run_id, key.model, key.task_id, str(key.index), str(attempt))[:16],
            run_id=self.run_id,
            task_id=key.task_id,
            model=key.model,
            index=key.index,
            seed=key.seed,
            attempt=attempt,
            run=self._run_facts(runner),
            task=_task_facts(task),
        )
        Agent(
            goal=paraphrase(task, self.settings.paraphrase, key.seed),
            start=lambda: self.model(key.model).start(key),
            workspace=workspace,
            tools=self.registry.tools,
            run_tests=run_tests,
            settings=self.settings.agent(),
            trace=log,
        ).run()

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
        )

    def _run_facts(self, runner: Runner) -> dict[str, Any]:
        return {
            "started_at": self.started_at,
            "settings": self.settings.recorded(),
            "settings_hash": self.settings_hash,
            "suite": self.suite.name,
            "suite_sha256": self.suite.sha256,
            "split": self.suite.split,
            "source": self.suite.source,
            "commit": self.suite.commit,
            "versions": {"pytest_repoagent": version("pytest-repoagent"), "python": platform.python_version()},
            "runner": runner.name,
            "sandbox": runner.sandbox,
        }


def _task_facts(task: Task) -> dict[str, Any]:
    return {
        "family": task.family,
        "metadata": task.metadata.model_dump(),
        "expected_files": list(task.expected_files),
    }


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
