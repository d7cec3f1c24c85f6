"""How good a next action is at a state, by rules that anybody can check: no judge model.

A reply's points are the sum of the rules that apply to it; ``docs/preferences.md`` lists them. They compare replies at
the same state and mean nothing across states. Rules of content and repeats are the harness's own flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from builders.history import History, parse_reply, spelled
from pytest_repoagent.protocol.actions import Action, Final, ToolCall, canonical
from pytest_repoagent.protocol.codes import CODES
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.workspace import Refused, Workspace

ROOM_CHARS = 4000
"""What a read of a hit should ask for at least: the window that the system prompt shows."""


class Rule(NamedTuple):
    """What a rule adds to the points, and when."""

    points: float
    meaning: str


RULES: Mapping[str, Rule] = {
    "invalid": Rule(-10, "no action, and nothing a lenient reader could repair"),
    "repairable": Rule(-6, "no action, but a lenient reader would make one of it"),
    "refused": Rule(-5, "an argument that every workspace refuses: a bad path, number or pattern"),
    "exact_repeat": Rule(-5, "a call made before while nothing changed, or a write made before"),
    "near_repeat": Rule(-4, "the same file, directory or pattern again with a smaller window"),
    "no_op_write": Rule(-4, "a write of what is there already"),
    "broken_content": Rule(-4, "a write of elided, fenced or numbered content, or of Python that does not compile"),
    "premature_final": Rule(-4, "a final before any write"),
    "unproven_final": Rule(-2, "a final after writes whose last tests failed"),
    "goes_on": Rule(-3, "any call after the tests passed"),
    "guessed_path": Rule(-1, "a look at a path that the driver never named"),
    "blind_write": Rule(-2, "a write over a file that is there and was never shown"),
    "known_text": Rule(-1, "a read of a file whose whole text stands in the prompt"),
    "cramped": Rule(-1, f"a read of a file with hits, but of fewer than {ROOM_CHARS} characters"),
    "follows_hit": Rule(2, f"right after a search, a read of a file it hit, of {ROOM_CHARS} characters or more"),
    "new_text": Rule(1, "a read that shows more of a file than was seen"),
    "localised_write": Rule(3, "a write that changes a file whose text was shown"),
    "done": Rule(3, "a final after the tests passed"),
    "tests_pass": Rule(5, "a write after which the tests were run and passed"),
    "tests_fail": Rule(-2, "a write after which the tests were run and failed"),
}
"""Every rule by name."""

_BROKEN = {"content_elided", "content_syntax_error", "fence_or_line_numbers_in_content"}
_TOOLS = {tool.spec.name: tool for tool in BUILT_IN}


@dataclass(frozen=True)
class Judged:
    """One reply at one state.

    Attributes:
        text: canonical JSON text where it is an action, else the reply as it came.
        action: the action, if it is strictly valid.
        faults: codes of the protocol's table that speak against it: why it is no action, or its flags.
        rules: names of the rules that apply.
        tests: whether the tests pass after this write; None where nobody ran them.
    """

    text: str
    action: Action | None
    faults: tuple[str, ...]
    rules: tuple[str, ...]
    tests: bool | None = None

    @property
    def points(self) -> float:
        """The sum of the rules' points."""
        return sum(RULES[rule].points for rule in self.rules)


def judge(
    history: History, raw: str, finish_reason: str | None = None, tests: bool | None = None, refused: str | None = None
) -> Judged:
    """Judge a reply.

    Args:
        history: what the state's prompt shows.
        raw: the reply as it came.
        finish_reason: the provider's word for why it ended.
        tests: whether the tests passed after it, where it is a write and they were run.
        refused: why a tool refused the call, where it was run.
    """
    parsed = parse_reply(raw, finish_reason)
    action = parsed.action
    if action is None:
        assert parsed.error is not None
        return Judged(raw, None, (parsed.error.family,), ("repairable" if parsed.repaired else "invalid",))
    refused = refused or _value_error(action, history.files)
    flags = history.flags(action)
    rules = ("refused",) if refused else tuple(_rules(action, flags, history, tests))
    return Judged(canonical(action), action, (*([refused] if refused else []), *flags), rules, tests)


def _rules(action: Action, flags: tuple[str, ...], history: History, tests: bool | None) -> Iterator[str]:
    for flag in ("exact_repeat", "near_repeat", "no_op_write", "premature_final"):
        if flag in flags:
            yield flag
    if isinstance(action, Final):
        if history.changed and history.tests is not None:
            yield "done" if history.tests else "unproven_final"
        return
    if history.tests:
        yield "goes_on"
    if action.name == "write_file":
        yield from _write_rules(action, flags, history, tests)
    elif action.name == "read_file" and "exact_repeat" not in flags and "near_repeat" not in flags:
        yield from _read_rules(action, history)


def _write_rules(call: ToolCall, flags: tuple[str, ...], history: History, tests: bool | None) -> Iterator[str]:
    path = spelled(str(call.args["rel_path"]))
    if not _BROKEN.isdisjoint(flags):
        yield "broken_content"
    elif path in history.shown and not {"exact_repeat", "no_op_write"} & {*flags}:
        yield "localised_write"
    if path not in history.shown and path in history.said:
        yield "blind_write"
    if tests is not None:
        yield "tests_pass" if tests else "tests_fail"


def _read_rules(call: ToolCall, history: History) -> Iterator[str]:
    path, window = spelled(str(call.args["rel_path"])), int(call.args["max_chars"])
    if path in history.hits:
        yield "follows_hit" if window >= ROOM_CHARS else "cramped"
    if path not in history.said and path not in history.shown:
        yield "guessed_path"
    if history.text(path) is not None:
        yield "known_text"
    elif window > history.shown.get(path, 0):
        yield "new_text"


def _value_error(action: Action, files: Workspace) -> str | None:
    """The code of an argument that is wrong whatever the workspace holds."""
    if not isinstance(action, ToolCall) or action.name not in _TOOLS:
        return None
    overlay = Workspace(Path(), (), ())
    overlay.written.update(files.written)
    try:
        _TOOLS[action.name].run(overlay, action.args)
    except Refused as refused:
        return refused.code if CODES[refused.code].stage == "value" else None
    return None
