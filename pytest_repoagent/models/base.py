"""What a model is to this project: something that opens one conversation per rollout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pytest_repoagent.pace import AnyPacing, Pacing
from pytest_repoagent.protocol.actions import Message


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Reply:
    """One assistant message.

    Attributes:
        text: the content, exactly as it came; parsing is not the model's business.
        finish_reason: ``stop``, ``length`` or the provider's own word; None where there is none.
        usage: tokens, None where the model counts none (the built-in ones).
        extra: JSON-serialisable facts to record with the step (``novice`` names what it spoiled).
        waited_s: seconds it was held back because of the provider's rate limits.
    """

    text: str
    finish_reason: str | None = None
    usage: Usage | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    waited_s: float = 0.0


@dataclass(frozen=True)
class RolloutKey:
    """Which rollout of a run: the task, the model's spec, the index among repeats, and the seed."""

    task_id: str
    model: str
    index: int
    seed: int


class Conversation(Protocol):
    """One rollout's side of the talk. It may keep state; it is used by one thread."""

    def reply(self, messages: Sequence[Message]) -> Reply:
        """Answer the conversation so far; the first one may hold turns already, and then it goes on from there.

        Raises:
            ProviderError: it could not be served after the retries it deserved.
            UsageError: it never can be served as configured (key rejected, model unknown).
        """
        ...


class Model(Protocol):
    """A configured model. Built once per process, shared by its rollouts; must be thread-safe.

    One that spends its time waiting, for a server say, may have an attribute ``concurrency``: how many rollouts at
    once suit it where the user does not say. Others get one at a time.
    """

    def check(self) -> None:
        """Fail now rather than N times later.

        Raises:
            ModelConfigError: missing or rejected key, unreachable server, unknown model.
        """
        ...

    def start(self, key: RolloutKey) -> Conversation:
        """Open the conversation of one rollout."""
        ...


@dataclass(frozen=True)
class ModelContext:
    """What a model may be built from.

    Attributes:
        temperature, max_tokens: sampling, passed on to providers.
        base_url: server for OpenAI-compatible providers, None for the provider's own.
        request_timeout_s: seconds one HTTP request may take.
        retries: attempts after the first, on 5xx and timeouts.
        trace_root: folder of recorded runs, for ``replay``.
        known_fix: task id -> files of the corrected program, for ``oracle``; a SourceError where there is none.
        build: spec -> model, for models that wrap another (``novice:repair``).
        pacing: how fast each provider may be asked.
    """

    temperature: float
    max_tokens: int
    base_url: str | None
    request_timeout_s: float
    retries: int
    trace_root: Path
    known_fix: Callable[[str], Mapping[str, str]]
    build: Callable[[str], Model]
    pacing: AnyPacing = field(default_factory=Pacing)


ModelFactory = Callable[[str, ModelContext], Model]
"""``(name, context) -> model``; ``name`` is what follows the provider in ``provider:name`` (may be empty)."""
