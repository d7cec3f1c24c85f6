"""Read a reply: strictly one action, or exactly one error, and what a lenient reader would have made of it.

Total: every text has an answer, in time linear in its length. The decision, in order:

1. Nothing but whitespace is ``empty``.
2. If the whole text is one JSON value, only that value is judged. ``lenient.Reader`` names the faults it had to
   read past (``control_char``, ``trailing_comma``, ``bad_escape``, ``triple_quoted``, ``python_literal``,
   ``duplicate_key``); what is inside a string is never looked at.
3. Otherwise the text is searched for objects from left to right. A ``{`` that no quoted key follows is text; one
   that a quoted key follows begins an object, and the search ends where one cannot be read. What stands outside
   the objects decides the rest:
   ``hallucinated_tool_result`` if a line of it begins like one of the driver's (the search ends there);
   ``multiple_objects`` if more than one object begins;
   where one broke off, ``truncated`` if nothing but a closing fence or tag follows and else ``malformed_json``;
   where none begins, ``malformed_json`` with a ``{`` in the text and ``no_json`` without;
   around exactly one object that was read, ``code_fence``, ``prose_wrapped``, ``tag_wrapped``, ``extra_closer``
   and ``trailing_comma``. All that comes before ``</think>`` is one tag.
   In this third case ``finish_reason`` "length" always means ``truncated``.
4. A value that was read, whole or as the one object, is judged by ``envelope.judge``.

Of all codes that apply the first in ``CODES`` is the error's code, the others are ``secondary``. The reply is
repaired where every one of them has a repair; the result is then an action with no issue left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_repoagent.protocol.actions import TOOLS, Action, Parsed, ParseError, ToolSpec
from pytest_repoagent.protocol.codes import CODES, PARSE_CODES
from pytest_repoagent.protocol.envelope import Issue, judge, shown
from pytest_repoagent.protocol.lenient import WHITESPACE, BrokenJsonError, Reader

_OPENING = re.compile(r"""(?P<value>\{(?=\s*(?:["']|\Z))|\[(?=\s*\{\s*["']))|[{}]""")
_DRIVERS_LINE = re.compile(
    r"^[ \t]*(?:\[(?:tool_result|TESTS PASS|TESTS FAIL|parse_error)\]|<tool_(?:response|result)>)", re.MULTILINE
)
_FENCE = re.compile(r"```[\w+-]*")
_TAG = re.compile(r"</?[A-Za-z_][\w.:=-]*>|<\|[^<>|\n]{1,40}\|>|\[/?[A-Z][A-Z_]{2,}\]")
_CALL_TAG = re.compile(r"tool_?call|function_?call", re.IGNORECASE)
_THOUGHT_END = "</think>"
_CLOSERS = re.compile(r"[\s}\]]*[}\]]")
_MAX_SECONDARY = 8


def parse(text: str, *, tools: Sequence[ToolSpec] = TOOLS, finish_reason: str | None = None) -> Parsed:
    """What a reply is. Never raises.

    Args:
        text: the reply's content, exactly as it came; any ``str``.
        tools: the tools that exist.
        finish_reason: the provider's word for why the reply ended; "length" tells a cut reply from a bad one.
    """
    text = text.strip(WHITESPACE)
    if text.strip():
        issues, action = _diagnose(text, {tool.name: tool for tool in tools}, finish_reason == "length")
    else:
        issues, action = [Issue("empty")], None
    if not issues:
        return Parsed(action)
    first, *others = sorted(issues, key=lambda issue: PARSE_CODES.index(issue.code))
    secondary = dict.fromkeys(issue.full_code for issue in others if issue.full_code != first.full_code)
    stage = CODES[first.code].stage
    assert stage in ("transport", "json", "envelope", "args")
    error = ParseError(
        code=first.full_code,
        message=first.message,
        stage=stage,
        arg=first.arg,
        json_path=first.json_path,
        near_miss=first.near_miss,
        secondary=tuple(secondary)[:_MAX_SECONDARY],
    )
    repairs = [issue.repair for issue in (first, *others) if issue.repair is not None]
    if len(repairs) < len(issues):
        return Parsed(None, error)
    return Parsed(None, error, repaired=action, repair="+".join(dict.fromkeys(repairs)))


def _diagnose(text: str, tools: dict[str, ToolSpec], cut: bool) -> tuple[list[Issue], Action | None]:
    reader = Reader(text)
    try:
        value, end = reader.read(0)
    except BrokenJsonError:
        pass
    else:
        bare_word = bool(reader.faults) and not isinstance(value, dict | list)
        if end == len(text) and not bare_word:
            issues, action = judge(value, tools)
            return _faults(reader) + issues, action
    found = _search(text)
    issues = [_issue(code, excerpt=found.excerpt) for code in found.codes] + _faults(found.reader)
    if cut:
        issues.append(_issue("truncated"))
    if found.codes:
        return issues, None
    before, after = found.gaps
    tags = "".join(_TAG.findall(before))
    value, wrapping = found.values[0], _wrapping(before, after)
    if _CALL_TAG.search(tags) and isinstance(value, dict) and value.keys() == {"name", "arguments"}:
        value = {"type": "tool_call", "name": value["name"], "args": value["arguments"]}
        wrapping.append(Issue("foreign_schema", "$", words={"given": "arguments"}, repair="rename_arguments"))
    judged, action = judge(value, tools)
    return issues + wrapping + judged, action


@dataclass
class _Found:
    """The objects in a text, what stands between them, and the codes that keep it from being one object."""

    reader: Reader
    values: list[Any] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    excerpt: str = ""


def _search(text: str) -> _Found:
    found = _Found(Reader(text))
    start = text.find(_THOUGHT_END)
    thinks = start >= 0 and (text.lstrip().startswith("<think>") or "{" not in text[:start])
    mark = pos = start if thinks else 0
    depth = begun = 0
    broken: int | None = None
    while broken is None and (match := _OPENING.search(text, pos)):
        pos = match.end()
        if match["value"] is None:
            depth = depth + 1 if match[0] == "{" else max(0, depth - 1)
            continue
        found.gaps.append(text[mark : match.start()])
        if _DRIVERS_LINE.search(found.gaps[-1]):
            found.codes.append("hallucinated_tool_result")
            return found
        begun += 1
        if depth:
            broken = text.find("{", mark)
            continue
        try:
            value, pos = found.reader.read(match.start())
        except BrokenJsonError as error:
            broken = error.pos
        else:
            found.values.append(value)
            mark = pos
    if broken is None:
        found.gaps.append(text[mark:])
        if _DRIVERS_LINE.search(found.gaps[-1]):
            found.codes.append("hallucinated_tool_result")
        elif not begun:
            broken = text.find("{")
    if begun > 1:
        found.codes.append("multiple_objects")
    if broken is not None and broken >= 0:
        rest = text[broken:]
        found.codes.append("malformed_json" if _TAG.sub("", _FENCE.sub("", rest)).strip() else "truncated")
        found.excerpt = shown(rest)
    elif broken is not None:
        found.codes.append("no_json")
    return found


def _wrapping(before: str, after: str) -> list[Issue]:
    """The codes of what stands around one object."""
    codes = []
    fenced = before.count("```") % 2 == 1 or after.lstrip().startswith("```")
    if fenced or (before.endswith("`") and after.startswith("`")):
        codes.append("code_fence")
    if _TAG.search(before) or _TAG.search(after):
        codes.append("tag_wrapped")
    before, after = (_TAG.sub("", _FENCE.sub("", gap)).strip(WHITESPACE + "`") for gap in (before, after))
    if closers := _CLOSERS.match(after):
        codes.append("extra_closer")
        after = after[closers.end() :].lstrip(WHITESPACE)
    if after.startswith(","):
        codes.append("trailing_comma")
        after = after[1:].lstrip(WHITESPACE)
    if before or after:
        codes.append("prose_wrapped")
    if not codes:  # backticks were all there was
        codes.append("code_fence")
    return [_issue(code) for code in codes]


def _faults(reader: Reader) -> list[Issue]:
    return [_issue(code, path) for code, path in reader.faults.items()]


def _issue(code: str, json_path: str | None = None, excerpt: str = "") -> Issue:
    return Issue(code, json_path, words={"excerpt": excerpt}, repair=CODES[code].repair)
