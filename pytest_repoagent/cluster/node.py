"""What runs on a node: one rollout at a time in a worker process, out of nothing but what it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_repoagent.budget import Account
from pytest_repoagent.cluster.desk import FarAccount, FarPacing
from pytest_repoagent.cluster.said import Said, heard
from pytest_repoagent.cluster.sent import SentFiles
from pytest_repoagent.errors import SourceError
from pytest_repoagent.models.base import RolloutKey
from pytest_repoagent.pace import Pacing
from pytest_repoagent.registry import Registry
from pytest_repoagent.sources.base import TaskFiles
from pytest_repoagent.stopping import StopSign
from pytest_repoagent.suites import Task
from pytest_repoagent.trace import Events
from pytest_repoagent.workshop import Run, Workshop

_workshops: dict[Any, Workshop] = {}
"""This worker process', by the reference to the kit that it was made of."""


@dataclass(frozen=True)
class Kit:
    """What all tasks of a run need; ``desk`` is None where nothing is made, only checked."""

    run: Run
    registry: Registry
    desk: Any


@dataclass(frozen=True)
class Order:
    """One rollout to be made.

    ``fix`` is the task's known fix, or why there is none; ``log_level`` is the root logger's.
    """

    key: RolloutKey
    attempt: int
    files: SentFiles
    fix: Mapping[str, str] | SourceError
    log_level: int


@dataclass(frozen=True)
class Made:
    """The events of a rollout's trace, and what was said while it was made."""

    events: list[dict[str, Any]]
    said: Said


class SentSource:
    """Serves the tasks of the orders so far."""

    def __init__(self) -> None:
        self._files: dict[str, TaskFiles] = {}
        self._fixes: dict[str, Mapping[str, str] | SourceError] = {}

    def receive(self, order: Order) -> None:
        """Have the task's files at hand."""
        task_id = order.key.task_id
        if task_id not in self._files:
            self._files[task_id] = order.files.unpack()
            self._fixes[task_id] = order.fix

    def files(self, task: Task) -> TaskFiles:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        return self._files[task.task_id]

    def fix(self, task: Task) -> Mapping[str, str]:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        fix = self._fixes[task.task_id]
        if isinstance(fix, SourceError):
            raise fix
        return fix


def check(kit: Kit) -> str:
    """Make sure that rollouts can be made on this node, and say what sandbox it has.

    Raises:
        UsageError: a model or the test runner cannot be used here.
    """
    workshop = _workshop(kit, SentSource())
    try:
        workshop.check()
        return workshop.sandbox
    finally:
        workshop.close()


def make(kit: list[Any], order: Order) -> Made:
    """Make a rollout; ``kit`` holds the reference to it, so that a worker process unpacks it once."""
    (ref,) = kit
    if ref not in _workshops:
        _workshops[ref] = _workshop(ref.future().result(), SentSource())
    workshop = _workshops[ref]
    assert isinstance(workshop.source, SentSource)
    workshop.source.receive(order)
    log = Events()
    with heard(order.log_level) as said:
        workshop.make(order.key, order.attempt, log)
        return Made(log.events, said())


def _workshop(kit: Kit, source: SentSource) -> Workshop:
    """A workshop of which only the account and the pace are elsewhere."""
    far = kit.desk is not None
    return Workshop(
        kit.run,
        kit.registry,
        source,
        FarAccount(kit.desk) if far else Account(None),
        FarPacing(kit.desk) if far else Pacing(),
        StopSign(None),
    )
