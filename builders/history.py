"""What a conversation shows by itself: files, hits, verdicts and repeats, read back from its messages.

A builder has no workspace: all it knows of a state is the prompt. What was elided or never shown is unknown here too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from pytest_repoagent.conduct import Conduct
from pytest_repoagent.protocol.actions import Action, Final, Message, Parsed, ToolCall
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.protocol.render import ELIDED, TOOL_RESULT
from pytest_repoagent.workspace import Refused, Workspace, normalise

_NOTES = re.compile(r"(\n\[(loop_warning|reflection)\] [^\n]*)+\Z")
_VERDICT = re.compile(r"^\[TESTS (PASS|FAIL)\]", re.MULTILINE)
_HIT = re.compile(r"^([^:\n]+):\d+:", re.MULTILINE)
_CUT = "\n[truncated: "
_REFUSED = "[error] "
_PARSE_ERROR = "[parse_error]"
_NOTHING: Message = {"role": "user", "content": ""}


class History:
    """What one prompt tells of the rollout so far.

    Attributes:
        files: an overlay over nothing that holds each file as it was last shown whole or written.
        shown: path -> characters of it that were shown at once at most.
        calls: the executed calls, in order.
        hits: files in which the search that was the last call found something.
        tests: whether the tests passed after the last write; None where there was none, or nobody said.
        changed: whether a file was written.
        said: all that the driver said.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        """Read a prompt."""
        self.files = Workspace(Path(), (), ())
        self.shown: dict[str, int] = {}
        self.calls: list[ToolCall] = []
        self.hits: frozenset[str] = frozenset()
        self.tests: bool | None = None
        self.changed = False
        self.said = "\n".join(message["content"] for message in messages if message["role"] == "user")
        self._conduct = Conduct()
        for message, after in pairwise([*messages, _NOTHING]):
            if message["role"] == "assistant":
                self._turn(message["content"], after["content"])

    def flags(self, action: Action) -> tuple[str, ...]:
        """In which ways an action would be poor here, as the harness flags them."""
        if isinstance(action, Final):
            return () if self.changed else ("premature_final",)
        conduct = Conduct(**{name: copy(value) for name, value in vars(self._conduct).items()})
        return conduct.flags(action, self.files)

    def text(self, path: str) -> str | None:
        """A file as it now is; None where that was not shown."""
        return self.files.written.get(path)

    def _turn(self, raw: str, answer: str) -> None:
        parsed = parse_reply(raw)
        action = parsed.action or (None if answer.startswith(_PARSE_ERROR) else parsed.repaired)
        if action is None:
            self._conduct.invalid(raw)
        if not isinstance(action, ToolCall):
            return
        flags = self._conduct.flags(action, self.files)
        result = answer.removeprefix(f"{TOOL_RESULT}\n")
        if result.startswith(_REFUSED):
            return
        self._conduct.executed(action, flags)
        self.calls.append(action)
        self.hits = frozenset(_HIT.findall(result)) if action.name == "grep" else frozenset()
        if action.name == "write_file":
            self._written(action, result)
        elif action.name == "read_file" and answer != ELIDED:
            self._read(action, _NOTES.sub("", result))

    def _written(self, call: ToolCall, result: str) -> None:
        path, content = spelled(str(call.args["rel_path"])), str(call.args["content"])
        self.files.written[path] = content
        self.shown[path] = len(content)
        self.changed = True
        verdicts = _VERDICT.findall(result)
        self.tests = verdicts[0] == "PASS" if verdicts else None

    def _read(self, call: ToolCall, text: str) -> None:
        path = spelled(str(call.args["rel_path"]))
        body, cut, _ = text.rpartition(_CUT)
        if not cut:
            self.files.written[path] = text
        self.shown[path] = max(self.shown.get(path, 0), len(body if cut else text))


@lru_cache(maxsize=1024)
def parse_reply(raw: str, finish_reason: str | None = None) -> Parsed:
    """The protocol's parse of a reply; prompts of one rollout share most of their replies."""
    return parse(raw, finish_reason=finish_reason)


def spelled(path: str) -> str:
    """The one spelling of a path; one that no workspace takes stays as it is."""
    try:
        return normalise(path)
    except Refused:
        return path
