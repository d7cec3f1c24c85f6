"""The action contract: the one JSON object that an assistant message must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict


class Message(TypedDict):
    """One chat message, as providers take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the model sees it: every argument is required.

    Attributes:
        name: the name the model must give.
        args: argument name -> JSON type, in the order shown and written.
        summary: one line for the system prompt.
        example: the arguments shown in the system prompt.
    """

    name: str
    args: Mapping[str, type[str] | type[int]]
    summary: str
    example: Mapping[str, str | int]


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "list_files",
        {"rel_dir": str, "max_files": int},
        "list files below a directory",
        {"rel_dir": ".", "max_files": 200},
    ),
    ToolSpec(
        "read_file",
        {"rel_path": str, "max_chars": int},
        "show the start of a file",
        {"rel_path": "src/area.py", "max_chars": 4000},
    ),
    ToolSpec(
        "grep",
        {"pattern": str, "rel_dir": str, "max_hits": int},
        "search files for a regular expression (RE2 syntax)",
        {"pattern": "def ", "rel_dir": ".", "max_hits": 20},
    ),
    ToolSpec(
        "write_file",
        {"rel_path": str, "content": str},
        "replace a whole file",
        {"rel_path": "src/area.py", "content": "def area(w, h):\n    return w * h\n"},
    ),
)


class Change(TypedDict):
    """One entry of a final's ``changes``."""

    path: str
    description: str


class FinalObject(TypedDict):
    """The JSON shape of a final."""

    type: Literal["final"]
    summary: str
    changes: list[Change]
    test_result: NotRequired[Any]


@dataclass(frozen=True)
class ToolCall:
    """A request to run one tool. ``args`` holds every required argument and maybe ``thought``."""

    name: str
    args: Mapping[str, str | int]

    @property
    def thought(self) -> str | None:
        """The model's optional note to itself; no tool sees it."""
        thought = self.args.get("thought")
        return thought if isinstance(thought, str) else None

    def to_json(self) -> dict[str, Any]:
        """The object, in canonical key order given canonical ``args``."""
        return {"type": "tool_call", "name": self.name, "args": dict(self.args)}


@dataclass(frozen=True)
class Final:
    """The model's last word. What it claims about tests is recorded and never believed."""

    summary: str
    changes: tuple[Change, ...]
    test_result: Any = None

    def to_json(self) -> dict[str, Any]:
        """The object, in canonical key order; ``test_result`` only where the model gave one."""
        out: dict[str, Any] = {
            "type": "final",
            "summary": self.summary,
            "changes": [{"path": c["path"], "description": c["description"]} for c in self.changes],
        }
        if self.test_result is not None:
            out["test_result"] = self.test_result
        return out


Action = ToolCall | Final


def canonical(action: Action) -> str:
    """The one spelling of an action: fixed key order, compact, UTF-8; training targets are written this way.

    Argument order follows the order in which ``action.args`` was built; the parser builds it in the tool's own
    order with ``thought`` last.
    """
    return json.dumps(action.to_json(), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class ParseError:
    """Why a reply is no action.

    Attributes:
        code: one code of the taxonomy (see ``CODES``), with ``:arg`` where it concerns one argument.
        message: one sentence for the model.
        stage: ``transport``, ``json``, ``envelope`` or ``args``.
        arg: the argument concerned, if one is.
        json_path: where in the object, such as ``$.args.content``, if it parsed that far.
        near_miss: the closest legal name (edit distance at most 2), if there is one.
        secondary: further codes that would also have applied.
    """

    code: str
    message: str
    stage: Literal["transport", "json", "envelope", "args"]
    arg: str | None = None
    json_path: str | None = None
    near_miss: str | None = None
    secondary: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The code without its argument: ``missing_required`` for ``missing_required:content``."""
        return self.code.partition(":")[0]


@dataclass(frozen=True)
class Parsed:
    """What a reply is: exactly one of ``action`` and ``error``.

    Attributes:
        action: the action, if the reply is strictly valid.
        error: the error, if it is not.
        repaired: with an error, the action a lenient reader would have made of the reply, if it is unambiguous.
        repair: the name of that repair, such as ``strip_fence``.
    """

    action: Action | None
    error: ParseError | None = None
    repaired: Action | None = None
    repair: str | None = None
