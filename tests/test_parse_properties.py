from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parse_vectors import FINAL, HERMES, READ

from pytest_repoagent.protocol.actions import TOOLS, Action, Final, ToolCall, canonical
from pytest_repoagent.protocol.codes import CODES, PARSE_CODES
from pytest_repoagent.protocol.lenient import BrokenJsonError, read_exactly
from pytest_repoagent.protocol.parse import parse

untimed = settings(deadline=None)

scalar_text = st.text(max_size=40) | st.sampled_from(
    ["", "a.py", "\n", "'\"\\", "```", "[tool_result]", "}{", "</think>"]
)
numbers = st.integers() | st.integers(-(10**300), 10**300)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | scalar_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalar_text, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def actions(draw: st.DrawFn) -> Action:
    if draw(st.integers(0, 4)) == 0:
        changes = st.fixed_dictionaries({"path": scalar_text, "description": scalar_text})
        return Final(draw(scalar_text), tuple(draw(st.lists(changes, max_size=3))), draw(json_values))  # type: ignore[arg-type]
    tool = draw(st.sampled_from(TOOLS))
    args: dict[str, str | int] = {}
    for arg, kind in tool.args.items():
        args[arg] = draw(scalar_text) if kind is str else draw(numbers)
    if draw(st.booleans()):
        args["thought"] = draw(scalar_text)
    return ToolCall(tool.name, args)


PIECES = [READ, FINAL, HERMES, *'{}[]",:\\', "'", "```", "```json\n", "<think>", "</think>", "[tool_result]\n", "\n"]
PIECES += [
    "<tool_call>",
    '"type":',
    '"tool_call"',
    '"""',
    "True",
    "None",
    "-1",
    "1e5",
    "\\d",
    "\\u00e9",
    "\ud800",
    " x ",
]
soups = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join)
any_text = st.text(st.characters(), max_size=200) | soups


@st.composite
def mutations(draw: st.DrawFn) -> str:
    text = canonical(draw(actions()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        text = text[:start] + draw(st.sampled_from(["", *PIECES]) | st.text(max_size=3)) + text[end:]
    return text


texts = any_text | mutations() | actions().map(canonical)


@untimed
@given(texts, st.sampled_from([None, "stop", "length"]))
@example("```json\n" * 2 + READ, None)
def test_every_text_has_exactly_one_answer(text: str, finish_reason: str | None) -> None:
    parsed = parse(text, finish_reason=finish_reason)
    assert (parsed.action is None) != (parsed.error is None)
    assert parsed == parse(text, finish_reason=finish_reason)
    assert (parsed.repaired is None) == (parsed.repair is None)
    if parsed.error is not None:
        assert parsed.error.family in PARSE_CODES
        assert parsed.error.stage == CODES[parsed.error.family].stage
        assert parsed.error.message.isprintable()
        assert {code.partition(":")[0] for code in parsed.error.secondary} <= set(PARSE_CODES)
    else:
        assert parsed.repaired is None


@untimed
@given(texts)
def test_whitespace_around_the_text_is_nothing(text: str) -> None:
    assert parse(f" \r\n\t{text}\n ") == parse(text.strip(" \t\r\n"))


@untimed
@given(texts)
def test_a_valid_text_is_json_that_says_the_same(text: str) -> None:
    parsed = parse(text)
    if parsed.action is not None:
        said = parsed.action.to_json()
        loaded = json.loads(text)
        if loaded.get("test_result", 0) is None:
            del loaded["test_result"]
        assert loaded == said


@untimed
@given(texts)
def test_a_repaired_action_is_valid(text: str) -> None:
    parsed = parse(text)
    if parsed.repaired is not None:
        assert parse(canonical(parsed.repaired)).action == parsed.repaired
        canonical(parsed.repaired).encode()


@untimed
@given(actions(), st.sampled_from([None, 1]), st.booleans(), st.randoms(use_true_random=False))
def test_an_action_is_read_back_however_json_spells_it(
    action: Action, indent: int | None, ascii_only: bool, rng: Any
) -> None:
    items = list(action.to_json().items())
    rng.shuffle(items)
    text = json.dumps(dict(items), indent=indent, ensure_ascii=ascii_only)
    parsed = parse(text)
    assert parsed.action == action
    assert canonical(parsed.action) == canonical(action)


@untimed
@given(actions(), st.sampled_from(["```json\n{}\n```", "Sure: {}", "<tool_call>{}</tool_call>", "{}}}", "{},"]))
def test_what_is_around_an_action_does_not_change_it(action: Action, around: str) -> None:
    text = around.replace("{}", canonical(action), 1)
    assert parse(text).repaired == action


def oracle(text: str) -> Any:
    """The standard library's reading, made strict."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError
        return dict(pairs)

    def constant(_: str) -> Any:
        raise ValueError

    def finite(number: str) -> float:
        if math.isinf(value := float(number)):
            raise ValueError
        return value

    return json.loads(text, object_pairs_hook=unique, parse_constant=constant, parse_float=finite)


@untimed
@given(st.text('{}[]",:\\ntrufalse01.-+eE \n\t\x00', max_size=16) | json_values.map(json.dumps) | mutations())
@example('{"a":1,}')
@example('"\\n\\"\\u0041\\ud83d\\ude00"')
@example("[1.5e+3,-0,0.0,1E5]")
@example("-")
@example("01")
def test_the_reader_agrees_with_the_standard_library(text: str) -> None:
    if re.search(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]", text):
        return
    try:
        expected = oracle(text)
    except ValueError:
        with pytest.raises(BrokenJsonError):
            read_exactly(text)
    else:
        assert read_exactly(text) == expected
