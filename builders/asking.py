"""Many one-step questions to one model at once, within a budget; what was answered is never lost."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pytest_repoagent.budget import Balance, Bounds, cost_usd
from pytest_repoagent.errors import Cause, UsageError, policy_for
from pytest_repoagent.models.base import Model, RolloutKey, Usage
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.secrets import redact
from pytest_repoagent.store.branches import Branch

BURST = 64
"""Answers kept back at most before they are recorded."""
BURST_S = 5.0
"""Seconds they are kept back at most."""


@dataclass(frozen=True)
class Question:
    """A state, and what to note of the reply besides what the model says."""

    task_id: str
    messages: tuple[Message, ...]
    row: Branch


@dataclass
class Spent:
    """What was spent, and what may be.

    Attributes:
        price_usd: USD per million prompt and completion tokens; None where unknown.
    """

    price_usd: tuple[float, float] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    balance: Balance = field(default_factory=Balance)

    def add(self, answer: Branch) -> None:
        """Count what an answer took.

        Raises:
            UsageError: there is a bound, and the model does not say.
        """
        if answer.raw is not None:
            self.bounds.check_counted(answer.model, _usage(answer))
            self.balance.calls += 1
            self.balance.tokens += (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)
            self.balance.usd += answer.cost_usd or 0.0


def ask_all(
    model: Model,
    questions: Iterable[Question],
    concurrency: int,
    spent: Spent,
    record: Callable[[list[Branch]], None],
) -> str | None:
    """Ask until all is asked or a bound is reached; returns the bound.

    KeyboardInterrupt stops asking, waits for the calls under way, which are paid for, and records them; a second one
    does not wait.

    Args:
        model: whom to ask.
        questions: are drawn when a call can be made.
        concurrency: calls at once.
        spent: is added to.
        record: is given the answers and failures in bursts.

    Raises:
        UsageError: the model cannot be used as configured, or within bounds; what was answered before is recorded.
    """
    todo: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Branch | Exception] = queue.SimpleQueue()
    for _ in range(concurrency):
        threading.Thread(target=_work, args=(model, spent.price_usd, todo, done), daemon=True).start()
    burst = _Burst(record)
    failures: list[Exception] = []
    balance = spent.balance

    def take() -> None:
        answer = done.get()
        balance.under_way -= 1
        if isinstance(answer, Exception):
            failures.append(answer)
            return
        burst.add(answer)
        try:
            spent.add(answer)
        except UsageError as error:
            failures.append(error)

    bound = None
    try:
        try:
            for question in questions:
                if balance.under_way == concurrency:
                    take()
                bound = balance.reached(spent.bounds)
                if bound or failures:
                    break
                todo.put(question)
                balance.under_way += 1
        finally:
            while balance.under_way:
                take()
    finally:
        burst.write()
        for _ in range(concurrency):
            todo.put(None)
    if failures:
        raise failures[0]
    return bound


class _Burst:
    """Answers on their way to the store."""

    def __init__(self, record: Callable[[list[Branch]], None]) -> None:
        self._record = record
        self._answers: list[Branch] = []
        self._since = time.monotonic()

    def add(self, answer: Branch) -> None:
        self._answers.append(answer)
        if len(self._answers) >= BURST or time.monotonic() - self._since >= BURST_S:
            self.write()

    def write(self) -> None:
        answers, self._answers = self._answers, []
        if answers:
            self._record(answers)
        self._since = time.monotonic()


def _work(
    model: Model,
    price: tuple[float, float] | None,
    todo: queue.SimpleQueue[Question | None],
    done: queue.SimpleQueue[Branch | Exception],
) -> None:
    while question := todo.get():
        try:
            done.put(_ask(model, question, price))
        except Exception as error:
            done.put(error)


def _ask(model: Model, question: Question, price: tuple[float, float] | None) -> Branch:
    row = question.row
    began = time.monotonic()
    row = replace(row, asked_at=datetime.now(UTC).replace(tzinfo=None))
    try:
        conversation = model.start(RolloutKey(question.task_id, row.model, row.sample, row.seed))
        reply = conversation.reply(question.messages)
    except Exception as error:
        cause = policy_for(error).cause
        if cause is Cause.USER:
            raise
        text = redact(str(error)) or type(error).__name__
        return replace(row, latency_s=_since(began), error=text, cause=cause.value)
    latency_s = _since(began)
    parsed = parse(reply.text, finish_reason=reply.finish_reason)
    usage = reply.usage
    return replace(
        row,
        latency_s=latency_s,
        raw=reply.text,
        finish_reason=reply.finish_reason,
        strict_valid=parsed.action is not None,
        lenient_valid=parsed.action is not None or parsed.repaired is not None,
        error_code=parsed.error.code if parsed.error else None,
        error_family=parsed.error.family if parsed.error else None,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cost_usd=cost_usd(usage, price),
        extra=json.dumps(dict(reply.extra), ensure_ascii=False, separators=(",", ":")) if reply.extra else None,
    )


def _usage(answer: Branch) -> Usage | None:
    if answer.prompt_tokens is None or answer.completion_tokens is None:
        return None
    return Usage(answer.prompt_tokens, answer.completion_tokens)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 6)
