"""How fast a run asks a provider: its limits a minute, kept by all processes together, and what its 429s teach.

Each request takes the next free slot of its provider, so requests go out in the order of asking and evenly spread. A
429 closes the provider to everybody for as long as it says, and takes the slots further apart; each answer brings them
a little closer again. Times are those of the machine's monotonic clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import sleep
from typing import Protocol

from pytest_repoagent.errors import BudgetReached
from pytest_repoagent.shared import SharedNumbers

FOLDER = "pace"
_PAUSE_S = 0.25
_FIRST_DISTANCE_S = 0.05
_LONGEST_DISTANCE_S = 4.0
_LEAST_DISTANCE_S = 0.01
_SLOWER = 1.5
_FASTER = 0.9  # one refusal in ten, at whatever speed, does not make the run slower and slower


@dataclass(frozen=True)
class Turn:
    """A slot that came: when it was, how many tokens it was taken for, and how long the request waited for it."""

    at: float
    tokens: int
    waited_s: float


class AnyPace(Protocol):
    """How fast one provider is asked."""

    def wait(self, tokens: int) -> Turn:
        """See :meth:`Pace.wait`."""
        ...

    def answered(self, turn: Turn, tokens: int | None) -> None:
        """See :meth:`Pace.answered`."""
        ...

    def failed(self, turn: Turn, limited: bool, after_s: float | None) -> None:
        """See :meth:`Pace.failed`."""
        ...

    def is_hopeful(self, asking_s: float) -> bool:
        """See :meth:`Pace.is_hopeful`."""
        ...


class AnyPacing(Protocol):
    """How fast each provider is asked."""

    def of(self, provider: str) -> AnyPace:
        """See :meth:`Pacing.of`."""
        ...


@dataclass
class _State:
    free: float
    """When the next slot is."""
    tokens_free: float
    """When the tokens of all requests so far are used up at the limit's rate."""
    closed_until: float
    distance_s: float
    """Between slots, as the 429s taught it."""
    slowed_at: float
    answered_at: float


class Pace:
    """One provider's slots."""

    def __init__(self, path: Path | None, pacing: Pacing) -> None:
        """Keep the slots in ``path``, which is None where only this process asks."""
        self._shared = SharedNumbers(path, len(_State.__dataclass_fields__))
        self._distance_s = 60 / pacing.requests if pacing.requests else 0.0
        self._token_s = 60 / pacing.tokens if pacing.tokens else 0.0
        self._patience_s = pacing.patience_s
        self._until = pacing.until

    def wait(self, tokens: int) -> Turn:
        """Wait for the slot of a request that will take about so many tokens.

        Raises:
            BudgetReached: the run's time is up before it comes.
        """
        waited_s = 0.0
        while True:
            now = time.monotonic()
            with self._shared.held() as numbers:
                state = _State(*numbers)
                at = max(now, state.free, state.tokens_free, state.closed_until)
                state.free = at + max(self._distance_s, state.distance_s)
                state.tokens_free = at + tokens * self._token_s
                numbers[:] = vars(state).values()
            self._pause(at - now)
            waited_s += at - now
            with self._shared.held() as numbers:
                closed = _State(*numbers).closed_until > at
            if not closed:
                return Turn(at, tokens, waited_s)

    def _pause(self, seconds: float) -> None:
        left_s = inf if self._until is None else self._until - time.time()
        if seconds > 0:
            sleep(max(0.0, min(seconds, left_s)))
        if seconds >= left_s:
            raise BudgetReached("the run's --max-minutes is reached, while a call waited for the provider's limits")

    def answered(self, turn: Turn, tokens: int | None) -> None:
        """The request took so many tokens, None where nobody counted."""
        with self._shared.held() as numbers:
            state = _State(*numbers)
            state.tokens_free += ((turn.tokens if tokens is None else tokens) - turn.tokens) * self._token_s
            state.distance_s *= _FASTER
            if state.distance_s < _LEAST_DISTANCE_S:
                state.distance_s = 0.0
            state.answered_at = time.monotonic()
            numbers[:] = vars(state).values()

    def failed(self, turn: Turn, limited: bool, after_s: float | None) -> None:
        """The request had no answer; ``limited``: because of too many, ``after_s``: how long nobody is to ask."""
        now = time.monotonic()
        with self._shared.held() as numbers:
            state = _State(*numbers)
            state.tokens_free -= turn.tokens * self._token_s
            if limited and turn.at >= state.slowed_at:  # one that was under way then says nothing new
                state.distance_s = min(max(_SLOWER * state.distance_s, _FIRST_DISTANCE_S), _LONGEST_DISTANCE_S)
                state.slowed_at = now
            own = max(_PAUSE_S, state.distance_s) if limited else 0.0
            closed_s = own if after_s is None else after_s
            state.closed_until = max(state.closed_until, now + closed_s)
            numbers[:] = vars(state).values()

    def is_hopeful(self, asking_s: float) -> bool:
        """Whether the provider has answered anybody lately; who asks since ``asking_s`` knows of no silence before."""
        with self._shared.held() as numbers:
            return min(asking_s, time.monotonic() - _State(*numbers).answered_at) < self._patience_s


@dataclass(frozen=True)
class Pacing:
    """How fast a run may ask each provider.

    Attributes:
        folder: where its processes keep that together; None where there is one.
        requests, tokens: a minute; None for no limit of ours.
        patience_s: for how long a provider may answer nothing but 429 before calls fail.
        until: when the run's time is up, in seconds since 1970; None for never.
    """

    folder: Path | None = None
    requests: int | None = None
    tokens: int | None = None
    patience_s: float = 600.0
    until: float | None = None

    def of(self, provider: str) -> Pace:
        """The pace of a provider."""
        path = self.folder / provider if self.folder else None
        return Pace(path, self)
