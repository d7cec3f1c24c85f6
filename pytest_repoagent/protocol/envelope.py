"""From a JSON value to an action: what is missing, unknown or of the wrong type, and what the action is without it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pytest_repoagent.protocol.actions import Action, Change, Final, ToolCall, ToolSpec
from pytest_repoagent.protocol.codes import CODES
from pytest_repoagent.protocol.lenient import BrokenJsonError, as_word, read_exactly

_FOREIGN_KEYS = frozenset(
    {"arguments", "parameters", "kwargs", "input", "command", "action", "action_input", "function", "function_call"}
    | {"tool", "tool_name", "tool_input", "tool_call", "tool_calls"}
)
_CALL_KEYS = ("type", "name", "args")
_FINAL_KEYS = ("type", "summary", "changes", "test_result")
_TYPES: Mapping[type, str] = {str: "string", int: "integer", list: "list"}
_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_MAX_UNEXPECTED = 20


@dataclass(frozen=True)
class Issue:
    """One code that applies to a reply.

    Attributes:
        code: a name in ``CODES``.
        arg, json_path, near_miss: as in ``ParseError``.
        words: what fills the blanks of the code's advice.
        repair: the lenient reader's repair of it, None where there is none in this case.
    """

    code: str
    json_path: str | None = None
    arg: str | None = None
    near_miss: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    repair: str | None = None

    @property
    def full_code(self) -> str:
        """The code with its argument."""
        return f"{self.code}:{self.arg}" if self.arg else self.code

    @property
    def message(self) -> str:
        """The sentence for the model."""
        return CODES[self.code].advice % {"arg": self.arg, **self.words}


def shown(text: str) -> str:
    """The start of a text out of a model's reply, fit to be shown in one line."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text[:40].split()))


def judge(value: Any, tools: Mapping[str, ToolSpec]) -> tuple[list[Issue], Action | None]:
    """Every issue of a JSON value, and the action it is.

    The action is meant where there is no issue, or where every issue has a repair; with other issues it is
    incomplete or None.
    """
    if not isinstance(value, dict):
        return [Issue("top_level_not_object", "$", words={"given": _given(value)})], None
    if "type" not in value:
        foreign = next((key for key in value if key in _FOREIGN_KEYS), None)
        if foreign is not None:
            return [Issue("foreign_schema", "$", words={"given": foreign})], None
        missing = Issue("missing_type", "$", near_miss=_misspelt("type", value))
        if not value.keys() & {"name", "args"}:
            return [missing], None
        issues, _ = _judge_call(value, tools)
        return [missing, *issues], None
    kind = value["type"]
    if kind == "tool_call":
        return _judge_call(value, tools)
    if kind == "final":
        return _judge_final(value)
    return [Issue("unknown_type", "$.type", near_miss=_near(kind, ("tool_call", "final")))], None


def _judge_call(value: dict[str, Any], tools: Mapping[str, ToolSpec]) -> tuple[list[Issue], ToolCall | None]:
    issues: list[Issue] = []
    name, args = value.get("name"), value.get("args")
    legal = {"tools": ", ".join(tools)}
    tool = tools.get(name) if isinstance(name, str) else None
    if not isinstance(name, str) or not name:
        issues.append(Issue("missing_name", "$", near_miss=_misspelt("name", value), words=legal))
    elif tool is None:
        near = _near(name, tools)
        words = {"given": shown(name), "hint": _hint(near), **legal}
        issues.append(Issue("unknown_tool", "$.name", near_miss=near, words=words))
    words = {"given": _given(args), "signature": f" with {_signature(tool)}" if tool else ""}
    if "args" not in value:
        issues.append(Issue("missing_args", "$", near_miss=_misspelt("args", value), words=words))
    elif isinstance(args, str) and (inner := _object_in(args)) is not None:
        args = inner
        issues.append(Issue("args_stringified", "$.args", repair=CODES["args_stringified"].repair))
    elif not isinstance(args, dict):
        issues.append(Issue("args_not_object", "$.args", words=words))
    issues += _unexpected(value, _CALL_KEYS, "$", "a tool call", ", ".join(_CALL_KEYS))
    if tool is None or not isinstance(args, dict):
        return issues, None
    arg_issues, clean = _judge_args(args, tool)
    return issues + arg_issues, ToolCall(tool.name, clean)


def _judge_args(args: dict[str, Any], tool: ToolSpec) -> tuple[list[Issue], dict[str, str | int]]:
    issues: list[Issue] = []
    clean: dict[str, str | int] = {}
    signature = _signature(tool)
    optional: dict[str, type[str] | type[int]] = {"thought": str}
    for arg, kind in {**tool.args, **optional}.items():
        path = f"$.args.{arg}"
        given = args.get(arg)
        if arg not in args:
            if arg not in optional:
                issues.append(_missing(arg, kind, args, tool.args, path, tool.name, signature))
        elif type(given) is kind:
            clean[arg] = given
        elif kind is int and isinstance(given, str) and _DIGITS.fullmatch(given):
            clean[arg] = int(given)
            issues.append(_wrong_type(arg, kind, given, path, repair=CODES["wrong_type"].repair))
        else:
            issues.append(_wrong_type(arg, kind, given, path))
    return issues + _unexpected(args, (*tool.args, *optional), "$.args", tool.name, signature), clean


def _judge_final(value: dict[str, Any]) -> tuple[list[Issue], Final]:
    issues: list[Issue] = []
    changes: list[Change] = []
    legal = 'summary (string), changes (list of {"path", "description"})'
    for key, kind in (("summary", str), ("changes", list)):
        if key not in value:
            issues.append(_missing(key, kind, value, _FINAL_KEYS, f"$.{key}", "a final", legal))
        elif not isinstance(value[key], kind):
            issues.append(_wrong_type(key, kind, value[key], f"$.{key}"))
    entries = value.get("changes")
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        entry_issues = _judge_change(entry, f"$.changes[{i}]")
        issues += entry_issues
        if any(issue.repair is None for issue in entry_issues):
            break
        changes.append(Change(path=entry["path"], description=entry["description"]))
    issues += _unexpected(value, _FINAL_KEYS, "$", "a final", legal)
    return issues, Final(value.get("summary", ""), tuple(changes), value.get("test_result"))


def _judge_change(entry: Any, path: str) -> list[Issue]:
    legal = ("path", "description")
    if not isinstance(entry, dict):
        words = {"type": 'a list of {"path", "description"}', "given": f"a list with {_given(entry)}"}
        return [Issue("wrong_type", path, "changes", words=words)]
    issues: list[Issue] = []
    for key in legal:
        if key not in entry:
            issues.append(_missing(key, str, entry, legal, f"{path}.{key}", "a change", ", ".join(legal)))
        elif not isinstance(entry[key], str):
            issues.append(_wrong_type(key, str, entry[key], f"{path}.{key}"))
    return issues + _unexpected(entry, legal, path, "a change", ", ".join(legal))


def _missing(
    arg: str, kind: type, given: Mapping[str, Any], legal: Iterable[str], path: str, owner: str, signature: str
) -> Issue:
    others = _unknown_keys(given, (*legal, "thought"))
    near = arg if any(_distance(key, arg) <= 2 for key in others) else None
    hint = f', you sent "{shown(others[0])}"' if others else ""
    words = {"type": _TYPES[kind], "hint": hint, "owner": owner, "signature": signature}
    return Issue("missing_required", path, arg, near, words)


def _wrong_type(arg: str, kind: type, given: Any, path: str, repair: str | None = None) -> Issue:
    wanted = {str: "a string", int: "an integer such as 200, without quotes or decimal point", list: "a list"}[kind]
    return Issue("wrong_type", path, arg, words={"type": wanted, "given": _given(given)}, repair=repair)


def _unexpected(given: Mapping[str, Any], legal: tuple[str, ...], path: str, owner: str, signature: str) -> list[Issue]:
    issues = []
    for key in _unknown_keys(given, legal):
        near = _near(key, [name for name in legal if name not in given])
        words = {"hint": _hint(near), "owner": owner, "signature": signature}
        name = as_word(key)
        issues.append(
            Issue("unexpected_arg", f"{path}.{name}", name, near, words, repair=CODES["unexpected_arg"].repair)
        )
    return issues


def _unknown_keys(given: Mapping[str, Any], legal: Iterable[str]) -> list[str]:
    known = set(legal)
    return list(islice((key for key in given if key not in known), _MAX_UNEXPECTED))


def _misspelt(key: str, given: Mapping[str, Any]) -> str | None:
    """``key``, if one of the unknown keys given may have been meant as it."""
    unknown = _unknown_keys(given, (*_CALL_KEYS, *_FINAL_KEYS))
    return key if any(_distance(other, key) <= 2 for other in unknown) else None


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        value = read_exactly(text)
    except BrokenJsonError:
        return None
    return value if isinstance(value, dict) else None


def _signature(tool: ToolSpec) -> str:
    return ", ".join(f"{arg} ({_TYPES[kind]})" for arg, kind in tool.args.items())


def _given(value: Any) -> str:
    """A JSON value's type in words, with the value where it is short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**9):
        return f"the number {value}"
    return {int: "a number", str: "a string", list: "a list", dict: "an object"}[type(value)]


def _hint(near: str | None) -> str:
    return f' (did you mean "{near}"?)' if near else ""


def _near(given: Any, legal: Iterable[str]) -> str | None:
    """The legal name at the smallest edit distance from what was given, if that is at most 2."""
    if not isinstance(given, str):
        return None
    distance, name = min(((_distance(given, name), name) for name in legal), default=(3, ""))
    return name if distance <= 2 else None


def _distance(a: str, b: str) -> int:
    """Levenshtein's edit distance; 3 at once where the lengths alone make it more than 2."""
    if abs(len(a) - len(b)) > 2:
        return 3
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
