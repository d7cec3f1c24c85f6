"""Rollouts made on a Ray cluster, each as a task that is made elsewhere when its worker or its node is lost."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import NodeDiedError, RayError, RayTaskError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pytest_repoagent.cluster import node
from pytest_repoagent.cluster.connect import Cluster
from pytest_repoagent.cluster.desk import Desk
from pytest_repoagent.cluster.sent import SentFiles, digest, read
from pytest_repoagent.errors import InfrastructureError, RepoAgentError, SourceError, UsageError
from pytest_repoagent.models.base import RolloutKey
from pytest_repoagent.registry import Registry
from pytest_repoagent.sources.base import TaskFiles
from pytest_repoagent.stopping import Stopped, StopSign
from pytest_repoagent.suites import Task
from pytest_repoagent.trace import Events
from pytest_repoagent.workshop import Workshop

_LOOK_S = 0.2
_RETRIES = 3
_WAITING_CPUS = 0.25
"""What a rollout reserves whose model is behind a server: all that it computes is its tests."""


class RayPlace:
    """Has the rollouts of this process made by a cluster.

    The waiting is done without Ray, and all calls of Ray under one lock: it must not be called while it shuts down.
    """

    def __init__(self, cluster: Cluster, workshop: Workshop, stop: StopSign, conftests: Iterable[ModuleType]) -> None:
        """Have nothing made yet; ``workshop`` is this process', what ``conftests`` define is sent to the nodes."""
        self._cluster = cluster
        self._workshop = workshop
        self._stop = stop
        self._calling = threading.RLock()
        self._closed = False
        self._make = ray.remote(node.make)
        self._desk: Any = None
        self._kit: Any = None
        self._sent: dict[TaskFiles, SentFiles] = {}
        self.sandbox = ""
        for module in conftests:
            if sys.modules.get(module.__name__) is module:  # any other is sent by value anyway
                cloudpickle.register_pickle_by_value(module)

    def check(self) -> None:
        """Fail now where every rollout would fail, on any of the nodes there are.

        Raises:
            UsageError: there are none, a node has another version of this package, a part cannot be sent to it, or a
                model or the test runner cannot be used on it.
        """
        here = version("pytest-repoagent")
        there = self._on_each(_installed_function())
        if not there:
            raise UsageError(f"the Ray cluster at {self._cluster.address} has no node with a CPU: start one that has")
        for name, found in there.items():
            if found != here:
                raise UsageError(
                    f"Ray node {name} has {f'version {found}' if found else 'no installation'} of pytest-repoagent, "
                    f"and this machine has {here}: install the same on every machine of the cluster"
                )
        kit = ray.put(node.Kit(self._workshop.run, _sendable(self._workshop.registry), desk=None))
        self.sandbox = " and ".join(sorted(set(self._on_each(node.check, kit).values())))

    @property
    def where(self) -> str:
        """How large the cluster is."""
        return f"on Ray, nodes {len(self._cluster.nodes())}, CPUs {self._cluster.cpus:g}"

    def room(self) -> int:
        """How many rollouts at once the cluster's CPUs hold, at most all of the run."""
        run = self._workshop.run
        thriftiest = min(self._cpus(spec) for spec in run.settings.model)
        rollouts = len(run.suite.tasks) * len(run.settings.model) * run.settings.rollouts
        return max(1, min(int(self._cluster.cpus / thriftiest), rollouts))

    def make(self, key: RolloutKey, attempt: int, log: Events) -> None:
        """Have a rollout made, and what it says said in this thread.

        One that Ray cannot get made ends as a rollout that this machine spoiled.

        Raises:
            Stopped: the session ends before its time.
        """
        try:
            made = self._await(self._submit(key, attempt))
        except RayError as error:
            self._workshop.make(key, attempt, log, trouble=_trouble(error))
            return
        made.said.repeat()
        for event in made.events:
            log.append(event)

    def close(self) -> None:
        """Leave the cluster with what is still in flight."""
        with self._calling:
            self._closed = True
            self._cluster.close()

    def _submit(self, key: RolloutKey, attempt: int) -> tuple[Any, Future[node.Made]]:
        task = self._workshop.tasks[key.task_id]
        with self._calling:
            if self._closed:
                raise Stopped
            order = node.Order(key, attempt, self._files(task), self._fix(task), logging.getLogger().level)
            task_options = {"num_cpus": self._cpus(key.model), "max_retries": _RETRIES}
            ref = self._make.options(**task_options).remote([self._the_kit()], order)
            return ref, ref.future()

    def _await(self, submitted: tuple[Any, Future[node.Made]]) -> node.Made:
        ref, future = submitted
        while not wait([future], timeout=_LOOK_S).done:
            if self._stop.is_up:
                with self._calling:
                    if not self._closed:
                        ray.cancel(ref, force=True)
                raise Stopped
        return future.result()

    def _the_kit(self) -> Any:
        if self._kit is None:
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            in_flight = self._workshop.run.settings.concurrency or 1
            options = {"num_cpus": 0, "max_restarts": -1, "max_concurrency": in_flight + 1, "scheduling_strategy": here}
            self._desk = ray.remote(Desk).options(**options).remote(self._workshop.run)
            self._kit = ray.put(node.Kit(self._workshop.run, _sendable(self._workshop.registry), self._desk))
        return self._kit

    def _files(self, task: Task) -> SentFiles:
        files = self._workshop.source.files(task)
        if files not in self._sent:
            content = read(files)
            self._sent[files] = SentFiles(digest(content), ray.put(content))
        return self._sent[files]

    def _fix(self, task: Task) -> Any:
        try:
            return self._workshop.source.fix(task)
        except SourceError as error:
            return error

    def _cpus(self, spec: str) -> float:
        return _WAITING_CPUS if getattr(self._workshop.model(spec), "concurrency", 1) > 1 else 1

    def _on_each(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """What a function says on each node, by the node's name."""
        refs = {}
        for each in self._cluster.nodes():
            there = NodeAffinitySchedulingStrategy(each["NodeID"], soft=False)
            refs[_name(each)] = ray.remote(function).options(num_cpus=0, scheduling_strategy=there).remote(*args)
        said = {}
        for name, ref in refs.items():
            try:
                said[name] = ray.get(ref)
            except (NodeDiedError, TaskUnschedulableError):  # it was lost just now, and Ray did not know
                continue
            except RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, UsageError):
                    raise type(cause)(f"on Ray node {name}: {cause}") from None
                reason = str(error).strip().splitlines()[-1]
                raise UsageError(f"Ray node {name} can make no rollouts: {reason}") from error
        return said


def _name(found: dict[str, Any]) -> str:
    return f"{found['NodeManagerHostname']} ({found['NodeID'][:8]})"


def _installed_function() -> Callable[[], str | None]:
    """A function that is sent by value, so that it also runs where this package is not installed."""

    def installed() -> str | None:
        try:
            return version("pytest-repoagent")
        except PackageNotFoundError:
            return None

    return installed


def _sendable(registry: Registry) -> Registry:
    """The parts that rollouts are made of.

    Raises:
        UsageError: one of them cannot be sent.
    """
    for kind, parts in (
        ("model provider", registry.models),
        ("tool", registry.tools),
        ("test runner", registry.runners),
    ):
        for name, part in parts.items():
            try:
                cloudpickle.dumps(part)
            except Exception as error:
                raise UsageError(
                    f"the {kind} {name!r} cannot be sent to Ray nodes ({error}): have it hold nothing that is this "
                    f"process' alone, or make it part of a plugin that is installed on all of them"
                ) from None
    return replace(registry, sources={})


def _trouble(error: RayError) -> Exception:
    if isinstance(error, RayTaskError):
        cause = error.cause
        return cause if isinstance(cause, RepoAgentError) else InfrastructureError(f"its Ray task failed: {error}")
    return InfrastructureError(f"Ray could not get it made, with {_RETRIES} retries: {error}")
