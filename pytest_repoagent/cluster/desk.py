"""The run's account and pace for rollouts on other machines: an actor beside the files that hold them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from pytest_repoagent.budget import Bounds
from pytest_repoagent.models.base import Usage
from pytest_repoagent.pace import Pace, Turn
from pytest_repoagent.workshop import Run


class Desk:
    """What the actor does, for as many threads as there are rollouts in flight: who waits for a slot waits here."""

    def __init__(self, run: Run) -> None:
        """Open what the run's processes on this machine share."""
        self._account = run.account()
        self._pacing = run.pacing()
        self._paces: dict[str, Pace] = {}
        self._mutex = threading.Lock()

    def begin_call(self, bounds: Bounds) -> None:
        """See :meth:`Account.begin_call`."""
        self._account.begin_call(bounds)

    def end_call(self, usage: Usage | None, usd: float | None) -> None:
        """See :meth:`Account.end_call`."""
        self._account.end_call(usage, usd)

    def wait(self, provider: str, tokens: int) -> Turn:
        """See :meth:`Pace.wait`."""
        return self._pace(provider).wait(tokens)

    def answered(self, provider: str, turn: Turn, tokens: int | None) -> None:
        """See :meth:`Pace.answered`."""
        self._pace(provider).answered(turn, tokens)

    def failed(self, provider: str, turn: Turn, limited: bool, after_s: float | None) -> None:
        """See :meth:`Pace.failed`."""
        self._pace(provider).failed(turn, limited, after_s)

    def is_hopeful(self, provider: str, asking_s: float) -> bool:
        """See :meth:`Pace.is_hopeful`."""
        return self._pace(provider).is_hopeful(asking_s)

    def _pace(self, provider: str) -> Pace:
        with self._mutex:
            if provider not in self._paces:
                self._paces[provider] = self._pacing.of(provider)
            return self._paces[provider]


@dataclass(frozen=True)
class FarAccount:
    """The account at a desk."""

    desk: Any

    def begin_call(self, bounds: Bounds) -> None:
        """See :meth:`Account.begin_call`."""
        _ask(self.desk.begin_call, bounds)

    def end_call(self, usage: Usage | None, usd: float | None) -> None:
        """See :meth:`Account.end_call`."""
        _ask(self.desk.end_call, usage, usd)


@dataclass(frozen=True)
class FarPace:
    """A provider's pace at a desk."""

    desk: Any
    provider: str

    def wait(self, tokens: int) -> Turn:
        """See :meth:`Pace.wait`."""
        turn: Turn = _ask(self.desk.wait, self.provider, tokens)
        return turn

    def answered(self, turn: Turn, tokens: int | None) -> None:
        """See :meth:`Pace.answered`."""
        _ask(self.desk.answered, self.provider, turn, tokens)

    def failed(self, turn: Turn, limited: bool, after_s: float | None) -> None:
        """See :meth:`Pace.failed`."""
        _ask(self.desk.failed, self.provider, turn, limited, after_s)

    def is_hopeful(self, asking_s: float) -> bool:
        """See :meth:`Pace.is_hopeful`."""
        return bool(_ask(self.desk.is_hopeful, self.provider, asking_s))


@dataclass(frozen=True)
class FarPacing:
    """Each provider's pace at a desk."""

    desk: Any

    def of(self, provider: str) -> FarPace:
        """The pace of a provider."""
        return FarPace(self.desk, provider)


def _ask(method: Any, *args: object) -> Any:
    """Call the actor, and raise what it raised.

    Not with ``ray.get``, for which Ray would lend this task's CPUs to another one.
    """
    from ray.exceptions import RayTaskError

    try:
        return method.remote(*args).future().result()
    except RayTaskError as error:
        raise error.cause from None
