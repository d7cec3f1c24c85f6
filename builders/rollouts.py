"""Recorded rollouts, rendered again: one streaming pass over what was selected, in the order of recording.

A prompt is put together by the harness's own renderer and must give the ``prompt_sha256`` that was recorded with its
step; a step whose prompt does not is refused and counted. Memory holds one chunk, however much is read.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import duckdb

from builders.examples import State
from builders.formats import spelled
from builders.leakage import HeldOut
from builders.selection import sql
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.store.rows import parts_of


class RecordedStep(NamedTuple):
    """One selected step.

    Attributes:
        step: 0-based position in the rollout.
        messages: exactly what the model was asked with; ``state_hash`` is their recorded ``prompt_sha256``.
        conversation: the same before the window policy.
        window: that policy.
        raw: the reply.
        action: canonical JSON text of the executed or final action; None where nothing was executed.
        recovers: the error of the step before, where that was refused or no action.
        weight: what the selection weighs it.
    """

    step: int
    messages: tuple[Message, ...]
    conversation: tuple[Message, ...]
    state_hash: str
    window: str
    raw: str
    action: str | None
    recovers: str | None
    weight: float


class RecordedRollout(NamedTuple):
    """A rollout with its selected steps; facts as in the store's table ``rollouts``, the family never unknown."""

    steps: tuple[RecordedStep, ...]
    rollout_id: str
    run_id: str
    task_id: str
    family: str
    model: str
    success: bool | None

    def state(self, step: RecordedStep) -> State:
        """The state at one of its steps, as recorded."""
        return State(
            step.messages,
            step.state_hash,
            step.state_hash,
            self.rollout_id,
            self.run_id,
            step.step,
            self.task_id,
            self.family,
            self.model,
        )


class Chunk(NamedTuple):
    """Selected rollouts that are read at once, and between which rows of the store's table ``steps`` they are."""

    number: int
    first_row: int
    last_row: int


def chunks(connection: duckdb.DuckDBPyConnection) -> list[Chunk]:
    """All that were selected, in the order of recording."""
    return [Chunk(*bounds) for bounds in connection.execute(sql("chunks")).fetchall()]


def read(
    connection: duckdb.DuckDBPyConnection,
    held_out: HeldOut,
    refused: Counter[str],
    only: Sequence[Chunk] | None = None,
) -> Iterator[RecordedRollout]:
    """The selected rollouts in the order in which they were recorded.

    Args:
        connection: the one on which they were selected, see :mod:`builders.selection`.
        held_out: what no example may show; a rollout that shows any of it is refused whole.
        refused: steps refused here are added to it, by reason.
        only: those of these chunks; None for all.
    """
    for chunk in chunks(connection) if only is None else only:
        bounds = {"chunk": chunk.number, "first_row": chunk.first_row, "last_row": chunk.last_row}
        rows = sorted(connection.execute(sql("chunk"), bounds).fetchall(), key=itemgetter(0, 1))
        known = connection.execute(sql("chunk_rollouts"), {"chunk": chunk.number}).fetchall()
        for facts, (_, of_rollout) in zip(known, groupby(rows, itemgetter(0)), strict=True):
            steps, seen = _render(of_rollout, refused)
            if steps and (collision := held_out.collision(seen)):
                refused[f"shows held-out {collision}"] += len(steps)
            elif steps:
                yield RecordedRollout(tuple(steps), *facts)


class Prompt:
    """A conversation as it grows, with the hash of each state of it at little cost.

    :meth:`sha256` gives what :func:`pytest_repoagent.protocol.render.prompt_sha256` gives for ``messages``;
    ``alternates`` says whether user and assistant take turns in them, which all trainers want.
    """

    def __init__(self) -> None:
        """Begin with no message."""
        self.messages: list[Message] = []
        self.alternates = True
        self._sha256 = hashlib.sha256(b"[")

    def add(self, message: Message) -> None:
        """Append a message."""
        comma = ""
        if self.messages:
            comma = ","
            self.alternates &= _FOLLOWS[self.messages[-1]["role"]] == message["role"]
        text = f'{comma}{{"content":{spelled(message["content"])},"role":"{message["role"]}"}}'
        self._sha256.update(text.encode("utf-8", "surrogatepass"))
        self.messages.append(message)

    def sha256(self) -> str:
        """The name of the state that consists of all messages so far."""
        digest = self._sha256.copy()
        digest.update(b"]")
        return digest.hexdigest()


_FOLLOWS = {"system": "user", "user": "assistant", "assistant": "user"}


@lru_cache(maxsize=1024)
def _messages(new: str) -> tuple[Message, ...]:
    """What a conversation gained; rollouts of one task share their openings, and files that are read again."""
    return tuple(json.loads(new))


def _render(rows: Iterable[tuple[Any, ...]], refused: Counter[str]) -> tuple[list[RecordedStep], list[Message]]:
    """A rollout's selected steps, as far as they can be reproduced, and every message in it."""
    steps: list[RecordedStep] = []
    seen: list[Message] = []
    prompt = Prompt()
    raw = None
    for _, step, chosen, restarted, texts, acted, sha256, window, recovers, weight in rows:
        new, action, reply = parts_of(texts, acted)
        if restarted:  # an imported trace went on with another conversation
            seen += prompt.messages
            prompt, raw = Prompt(), None
        if raw is not None:
            prompt.add({"role": "assistant", "content": raw})
        for message in _messages(new):
            prompt.add(message)
        raw = reply
        if not chosen:
            continue
        conversation = tuple(prompt.messages)
        messages = conversation if window == "full" else tuple(render.apply_window(conversation, window))
        if (prompt.sha256() if window == "full" else render.prompt_sha256(messages)) != sha256:
            refused["prompt not reproduced"] += 1
        elif not prompt.alternates or messages[-1]["role"] != "user":
            refused["prompt of turns that do not alternate"] += 1
        else:
            steps.append(RecordedStep(step, messages, conversation, sha256, window, reply, action, recovers, weight))
    last: list[Message] = [] if raw is None else [{"role": "assistant", "content": raw}]
    return steps, [*seen, *prompt.messages, *last]
