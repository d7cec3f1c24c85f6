"""``novice:INNER[@SHARE]``: another model that makes a small model's protocol mistakes, for a seeded share of replies.

It answers what the inner model answers, but writes ``SHARE`` of it (default 0.35) the wrong way, over every code
of the parser that the action allows. What it spoiled is known (``Reply.extra["injected"]``), so that parse errors
can be counted against the truth. The inner model sees the conversation as it is, with the spoiled message and the
driver's ``[parse_error]``, and is expected to send its action again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from random import Random

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.models.base import Conversation, Model, ModelContext, Reply, RolloutKey
from pytest_repoagent.protocol.actions import Action, Message
from pytest_repoagent.protocol.codes import PARSE_CODES
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.protocol.spoil import spoil

DEFAULT_SHARE = 0.35

_COMMON = frozenset(
    {"code_fence", "prose_wrapped", "tag_wrapped", "multiple_objects", "control_char", "extra_closer"}
    | {"truncated", "bad_escape", "missing_type", "foreign_schema", "missing_required", "wrong_type"}
)
_WEIGHTS: Mapping[str, int] = {code: 3 if code in _COMMON else 1 for code in PARSE_CODES}


def create(name: str, context: ModelContext) -> Model:
    """Build the model from what follows ``novice:``.

    Raises:
        ModelConfigError: no inner model, or a share that is not from 0 to 1.
    """
    inner, at, share_text = name.rpartition("@")
    if not at:
        inner, share_text = name, str(DEFAULT_SHARE)
    if not inner:
        raise ModelConfigError(
            f"Model 'novice:{name}' names no inner model; write novice:INNER, such as novice:repair."
        )
    try:
        share = float(share_text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ModelConfigError(
            f"Model 'novice:{name}' has the share '{share_text}'; write a number from 0 to 1 after the @."
        )
    return Novice(context.build(inner), share)


class Novice:
    """A model that spoils ``share`` of its inner model's messages."""

    def __init__(self, inner: Model, share: float) -> None:
        self._inner = inner
        self._share = share
        self.concurrency: int = getattr(inner, "concurrency", 1)

    def check(self) -> None:
        """Check the inner model."""
        self._inner.check()

    def start(self, key: RolloutKey) -> Conversation:
        """Open a conversation whose mistakes depend on the rollout's seed, task and index only."""
        seed = sha256(json.dumps([key.seed, key.task_id, key.index]).encode()).digest()
        return _NoviceConversation(self._inner.start(key), self._share, Random(int.from_bytes(seed)))


class _NoviceConversation:
    def __init__(self, inner: Conversation, share: float, rng: Random) -> None:
        self._inner = inner
        self._share = share
        self._rng = rng

    def reply(self, messages: Sequence[Message]) -> Reply:
        reply = self._inner.reply(messages)
        spoils = self._rng.random() < self._share
        action = parse(reply.text, finish_reason=reply.finish_reason).action
        if not spoils or action is None:
            return reply
        code, text = self._spoilt(action)
        finish_reason = "length" if code == "truncated" else "stop"
        return replace(reply, text=text, finish_reason=finish_reason, extra={**reply.extra, "injected": code})

    def _spoilt(self, action: Action) -> tuple[str, str]:
        """A code by weight among those the action allows, and the action spoiled in that way."""
        while True:
            (code,) = self._rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            text = spoil(action, code, self._rng)
            if text is not None:
                return code, text
