"""Recorded steps as supervised rows: one a step, or one a rollout with its other turns masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from builders.examples import SftRow
from builders.rollouts import RecordedRollout, RecordedStep
from builders.tokens import TokenCounter
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message

_SAID_AFTER = re.compile(r"(?:\n\[TESTS (?:PASS|FAIL)\] (?s:.*)|(?:\n\[(?:loop_warning|reflection)\] .*)+)\Z")
"""What follows the tool's own text in its message: the verdict, and the notes."""


@dataclass
class SftRows:
    """Makes rows of rollouts.

    Attributes:
        unit: ``step`` or ``trajectory``.
        window: policy to render prompts with; None for the recorded one.
        truncate_results: characters that a tool's own text may have; 0 for any number.
        counter: counts what the rows cost in either unit.
        dropped: steps left out here are added to it, by reason.
        costs: tokens of the rows as ``steps`` and ``packed`` as trajectories, and rollouts ``unpackable``.
    """

    unit: str
    window: str | None
    truncate_results: int
    counter: TokenCounter
    dropped: Counter[str]
    costs: Counter[str]

    def read(self, recorded: Iterable[RecordedRollout]) -> Iterator[SftRow]:
        """The rows, rollout by rollout."""
        for rollout in recorded:
            packed = _packs(rollout, self.window)
            if self.unit == "trajectory" and not packed:
                self.dropped["in a rollout that is no whole conversation"] += len(rollout.steps)
                continue
            rows = [self._step(rollout, step) for step in rollout.steps]
            if packed:
                self._count(rows)
            else:
                self.costs["unpackable"] += 1
            if self.unit == "step":
                yield from rows
            else:
                yield self._trajectory(rollout, rows)

    def remarks(self) -> list[str]:
        """What the supervision of the rows read costs in either unit."""
        if self.costs["unpackable"]:
            return ["These rows cannot be packed as trajectories: not every rollout is one whole conversation."]
        steps, packed = self.costs["steps"], self.costs["packed"]
        return [
            f"As steps this is {steps:,} tokens, packed as trajectories {packed:,} ({packed / max(1, steps):.0%}). "
            f"These rows are {'steps' if self.unit == 'step' else 'trajectories'}."
        ]

    def _step(self, rollout: RecordedRollout, step: RecordedStep) -> SftRow:
        state = rollout.state(step)
        if self.window is not None or self.truncate_results:
            window = self.window or step.window
            messages = tuple(map(self._cut, render.apply_window(step.conversation, window)))
            state = state._replace(messages=messages, prompt_sha256=render.prompt_sha256(messages))
        assert step.action is not None
        return SftRow(state, step.action, step.weight, _tags(rollout.success, step.recovers))

    def _trajectory(self, rollout: RecordedRollout, rows: list[SftRow]) -> SftRow:
        last = rows[-1]
        messages = list(last.state.messages)
        for row in rows[:-1]:
            messages[len(row.state.messages)] = {"role": "assistant", "content": row.target}
        return last._replace(
            state=last.state._replace(messages=tuple(messages)),
            weight=round(sum(row.weight for row in rows) / len(rows), 6),
            tags=tuple(dict.fromkeys(tag for row in rows for tag in row.tags)),
            trained=tuple(len(row.state.messages) for row in rows[:-1]),
        )

    def _count(self, rows: list[SftRow]) -> None:
        tokens = [self.counter.messages(row.state.messages) + self.counter.text(row.target) for row in rows]
        self.costs["steps"] += sum(tokens)
        self.costs["packed"] += tokens[-1]

    def _cut(self, message: Message) -> Message:
        return _shorter(message["content"], self.truncate_results) if message["role"] == "user" else message


def _packs(rollout: RecordedRollout, window: str | None) -> bool:
    """Whether each prompt is the beginning of the last one, so that one conversation has them all."""
    last = rollout.steps[-1].conversation
    return all(
        (window or step.window) == "full" and last[: len(step.conversation)] == step.conversation
        for step in rollout.steps
    )


@lru_cache(maxsize=512)
def _tags(success: bool | None, recovers: str | None) -> tuple[str, ...]:
    known = f"success:{'unknown' if success is None else 'yes' if success else 'no'}"
    return (known,) if recovers is None else (known, f"recovery:{recovers}")


@lru_cache(maxsize=512)
def _shorter(content: str, most: int) -> Message:
    if most and content.startswith(render.TOOL_RESULT):
        head = len(render.TOOL_RESULT) + 1
        said = _SAID_AFTER.search(content, head - 1)
        end = said.start() if said else len(content)
        if end - head > most:
            content = f"{content[: head + most]}\n[truncated: the first {most} characters]{content[end:]}"
    return {"role": "user", "content": content}
