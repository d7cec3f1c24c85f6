"""What the built-in models are: plans of actions, which go on from wherever a conversation has got to."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import pairwise

from pytest_repoagent.models.base import Reply
from pytest_repoagent.protocol.actions import Action, Final, Message, ToolCall, canonical
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.protocol.render import ELIDED, TOOL_RESULT

Plan = Generator[Action, str, Final]
"""Yields actions, is sent the text of what came of each, and returns the final."""

_NOTES = re.compile(r"(\n\[(loop_warning|reflection)\] [^\n]*)+\Z")
_PARSE_ERROR = "[parse_error]"
_WINDOWS = ("max_chars", "max_files", "max_hits")


class PlannedConversation:
    """Follows a plan. What the first messages show as done, by whomever, is not done again."""

    def __init__(self, make_plan: Callable[[str], Plan]) -> None:
        """Take the function that makes a plan of a goal."""
        self._make_plan = make_plan
        self._plan: Plan | None = None
        self._action: Action | None = None

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The next action of the plan, or the last one again where it was no valid message."""
        if self._action is None:
            self._action = self._begin(messages)
        elif not (messages[-1]["content"].startswith(_PARSE_ERROR) or isinstance(self._action, Final)):
            self._action = self._send(_result(messages[-1]))
        return Reply(canonical(self._action))

    def _begin(self, messages: Sequence[Message]) -> Action:
        goal = next(message["content"] for message in messages if message["role"] == "user")
        self._plan = self._make_plan(goal)
        action = self._send(None)
        results = {_asked(call): result for call, result in reversed([*_done(messages)])}
        while isinstance(action, ToolCall) and (result := results.pop(_asked(action), None)) is not None:
            action = self._send(result)
        passed = "\n[TESTS PASS]" in messages[-1]["content"]
        return Final("The tests pass.", ()) if passed and isinstance(action, ToolCall) else action

    def _send(self, result: str | None) -> Action:
        assert self._plan is not None
        try:
            return self._plan.send(result)  # type: ignore[arg-type]  # a plan begins with None
        except StopIteration as end:
            final: Final = end.value
            return final


def _done(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, str]]:
    """The calls so far with the results that are still there, whole."""
    for said, answer in pairwise(messages):
        text = answer["content"]
        if said["role"] != "assistant" or text == ELIDED or text.startswith(_PARSE_ERROR) or "\n[truncated: " in text:
            continue
        parsed = parse(said["content"])
        call = parsed.action or parsed.repaired
        if isinstance(call, ToolCall):
            yield call, _result(answer)


def _result(answer: Message) -> str:
    return _NOTES.sub("", answer["content"].removeprefix(f"{TOOL_RESULT}\n"))


def _asked(call: ToolCall) -> tuple[str, frozenset[tuple[str, str | int]]]:
    """What a call is for, whatever its window and its thought."""
    return call.name, frozenset((k, v) for k, v in call.args.items() if k != "thought" and k not in _WINDOWS)
