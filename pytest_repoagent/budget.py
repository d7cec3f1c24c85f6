"""What a run may spend, and what it has spent: one account for all its processes, in a file of the run's folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

from pytest_repoagent.errors import BudgetReached, UsageError
from pytest_repoagent.models.base import Conversation, Reply, Usage
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.shared import SharedNumbers

FILE = "account"


@dataclass(frozen=True)
class Bounds:
    """What may be spent; None is no bound.

    Attributes:
        usd, tokens: prompt and completion tokens count alike.
        until: seconds since 1970.
        usd_option, tokens_option: what the user calls them.
    """

    usd: float | None = None
    tokens: int | None = None
    until: float | None = None
    usd_option: str = "--max-usd"
    tokens_option: str = "--max-total-tokens"

    def reached(self, usd: float, tokens: float) -> str | None:
        """The bound that is reached when so much is spent, None while none is."""
        if self.usd is not None and usd >= self.usd:
            return f"{self.usd_option}={self.usd:g}"
        if self.tokens is not None and tokens >= self.tokens:
            return f"{self.tokens_option}={self.tokens}"
        if self.until is not None and time.time() >= self.until:
            return "--max-minutes"
        return None

    def check_counted(self, model: str, usage: Usage | None) -> None:
        """Make sure that a reply can be counted, where it must be.

        Raises:
            UsageError: the model does not say what it took.
        """
        if usage is None and (self.usd is not None or self.tokens is not None):
            option = self.tokens_option if self.usd is None else self.usd_option
            raise UsageError(f"{model} counts no tokens, so {option} cannot be kept: leave it out")


def cost_usd(usage: Usage | None, price: tuple[float, float] | None) -> float | None:
    """What a call cost at a price for a million prompt and completion tokens; None where either is unknown."""
    if usage is None or price is None:
        return None
    return (usage.prompt_tokens * price[0] + usage.completion_tokens * price[1]) / 1e6


@dataclass
class Balance:
    """What is spent, in how many calls, and how many are under way."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0
    under_way: int = 0

    def reached(self, bounds: Bounds) -> str | None:
        """The bound that is reached when calls under way take what calls took on average; None while none is."""
        share = 1 + self.under_way / self.calls if self.calls else 1
        return bounds.reached(self.usd * share, self.tokens * share)


class AnyAccount(Protocol):
    """Where calls are reserved and counted."""

    def begin_call(self, bounds: Bounds) -> None:
        """See :meth:`Account.begin_call`."""
        ...

    def end_call(self, usage: Usage | None, usd: float | None) -> None:
        """See :meth:`Account.end_call`."""
        ...


class Account:
    """The balance of a run.

    A call whose process was killed stays under way until the run is resumed: it was probably paid for.
    """

    def __init__(self, path: Path | None) -> None:
        """Keep the account in ``path``, which is made when first needed; None keeps it in this process."""
        self._shared = SharedNumbers(path, len(fields(Balance)))

    def begin_call(self, bounds: Bounds) -> None:
        """Reserve for a call.

        Raises:
            BudgetReached: what is spent and reserved reaches a bound.
        """
        with self._open() as balance:
            bound = balance.reached(bounds)
            if bound is not None:
                raise BudgetReached(
                    f"the run's {bound} is reached, after {balance.tokens:,} tokens and ${balance.usd:.4f}"
                )
            balance.under_way += 1

    def end_call(self, usage: Usage | None, usd: float | None) -> None:
        """Turn the reservation into what the call took; nothing where it had no reply."""
        with self._open() as balance:
            balance.under_way = max(0, balance.under_way - 1)
            if usage is not None:
                balance.calls += 1
                balance.tokens += usage.prompt_tokens + usage.completion_tokens
                balance.usd += usd or 0.0

    def forget_calls_under_way(self) -> None:
        """Nobody is at it any more."""
        with self._open() as balance:
            balance.under_way = 0

    def close(self) -> None:
        """Close the file until it is needed again."""
        self._shared.close()

    @contextmanager
    def _open(self) -> Iterator[Balance]:
        """The balance, for this thread alone; what it is at the end of the block is kept."""
        with self._shared.held() as numbers:
            usd, *counts = numbers
            balance = Balance(usd, *map(int, counts))
            yield balance
            numbers[:] = astuple(balance)


@dataclass(frozen=True)
class Metered:
    """A conversation whose calls go to an account, as far as there is something left in it."""

    conversation: Conversation
    account: AnyAccount
    bounds: Bounds
    model: str
    price_usd: tuple[float, float] | None

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The conversation's reply.

        Raises:
            BudgetReached: nothing is left.
            UsageError: the model does not say what it took, and there is a bound.
        """
        self.account.begin_call(self.bounds)
        usage = None
        try:
            reply = self.conversation.reply(messages)
            usage = reply.usage
        finally:
            self.account.end_call(usage, cost_usd(usage, self.price_usd))
        self.bounds.check_counted(self.model, usage)
        return reply
