"""Flags for steps that were valid and yet poor, and the definition of a loop.

A step *loops* when it repeats an earlier step exactly (``exact_repeat``) or asks for nothing new (``near_repeat``):

- reading, listing or searching the same target again, with a window no larger than before, while no file has changed
  since, is ``exact_repeat`` if every argument is the same and ``near_repeat`` if only the window is smaller;
- ``write_file`` with a path and content already written before is ``exact_repeat``, whatever happened in between:
  the same code gives the same verdict;
- an invalid reply that equals an earlier invalid reply to the letter is ``exact_repeat``.

``thought`` never counts. The other flags: ``no_op_write``, ``content_syntax_error``, ``content_elided``,
``fence_or_line_numbers_in_content``, ``write_before_read``, ``premature_final``.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from pytest_repoagent.protocol.actions import Action, Final, ToolCall
from pytest_repoagent.workspace import Refused, Workspace, normalise

LOOP_FLAGS = frozenset({"exact_repeat", "near_repeat"})

_WINDOWS = {"read_file": "max_chars", "list_files": "max_files", "grep": "max_hits"}
_PATHS = ("rel_path", "rel_dir")
_ELIDED = re.compile(
    r"^\s*(?:#|//)?\s*\.{3}[^\n]{0,40}\b(?:rest|existing|unchanged|remaining|omitted|same as before)\b"
    r"|^\s*(?:#|//)[^\n]{0,20}\b(?:rest of|existing|remaining|unchanged|other) (?:the )?"
    r"(?:code|file|functions?|methods?|lines|implementation)\b",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBERED = re.compile(r"\s*\d+\s*[:|\t]")


@dataclass
class Conduct:
    """What one rollout did so far, as far as flags need it."""

    _seen: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _written: set[tuple[str, str]] = field(default_factory=set)
    _invalid: set[str] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)

    def invalid(self, raw: str) -> tuple[str, ...]:
        """Flags of a reply that was no action."""
        known = raw in self._invalid
        self._invalid.add(raw)
        return ("exact_repeat",) if known else ()

    def flags(self, action: Action, workspace: Workspace) -> tuple[str, ...]:
        """Flags of an action, judged before it is executed."""
        if isinstance(action, Final):
            return () if workspace.touched() else ("premature_final",)
        if action.name == "write_file":
            return self._write_flags(action, workspace)
        return self._look_flags(action)

    def _look_flags(self, call: ToolCall) -> tuple[str, ...]:
        window = _WINDOWS.get(call.name)
        target = (call.name, *((k, _spelling(k, v)) for k, v in call.args.items() if k not in (window, "thought")))
        size = int(call.args[window]) if window else 0
        largest = self._seen.get(target)
        self._seen[target] = size if largest is None else max(size, largest)
        if largest is None or size > largest:
            return ()
        return ("exact_repeat",) if size == largest else ("near_repeat",)

    def _write_flags(self, call: ToolCall, workspace: Workspace) -> tuple[str, ...]:
        path, content = str(_spelling("rel_path", call.args["rel_path"])), str(call.args["content"])
        flags = []
        again = (path, content) in self._written
        self._written.add((path, content))
        if again:
            flags.append("exact_repeat")
        current = workspace.text(path)
        if current == content:
            flags.append("no_op_write")
        if current is not None and path not in self._read and not again:
            flags.append("write_before_read")
        return (*flags, *content_flags(path, content))

    def executed(self, call: ToolCall, flags: tuple[str, ...]) -> None:
        """Take note of a call that a tool did not refuse; ``flags`` are those it was given."""
        if call.name in ("read_file", "write_file"):
            self._read.add(str(_spelling("rel_path", call.args["rel_path"])))
        if call.name == "write_file" and "no_op_write" not in flags:
            self._seen.clear()  # files changed: looking again is no loop


def content_flags(path: str, content: str) -> tuple[str, ...]:
    """What is wrong with a file as it is about to be written, without running it."""
    flags = []
    lines = [line for line in content.splitlines() if line.strip()]
    fenced = content.lstrip().startswith("```")
    numbered = len(lines) >= 3 and all(_NUMBERED.match(line) for line in lines)
    if fenced or numbered:
        flags.append("fence_or_line_numbers_in_content")
    if path.endswith(".py") and not _parses(content):
        flags.append("content_syntax_error")
    if _ELIDED.search(content):
        flags.append("content_elided")
    return tuple(flags)


def _parses(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _spelling(name: str, value: Any) -> Any:
    if name not in _PATHS:
        return value
    try:
        return normalise(str(value))
    except Refused:
        return value


def loops(flags: tuple[str, ...]) -> bool:
    """Whether a step with these flags is a loop detection."""
    return not LOOP_FLAGS.isdisjoint(flags)
