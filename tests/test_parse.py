from __future__ import annotations

import re

import pytest
from parse_vectors import FINAL, HERMES, INVALID, LIST, READ, VALID, read, write

from pytest_repoagent.protocol.actions import Final, ParseError, ToolCall, ToolSpec, canonical
from pytest_repoagent.protocol.codes import CODES, PARSE_CODES
from pytest_repoagent.protocol.lenient import MAX_DEPTH
from pytest_repoagent.protocol.parse import parse

IDS = [f"{i}-{code}" for i, (code, _, _) in enumerate(INVALID)]


@pytest.mark.parametrize("text", VALID, ids=range(len(VALID)))
@pytest.mark.parametrize("finish_reason", [None, "stop", "length"])
def test_valid(text: str, finish_reason: str | None) -> None:
    parsed = parse(text, finish_reason=finish_reason)
    assert parsed.error is None
    assert parsed.action is not None
    assert parse(canonical(parsed.action)).action == parsed.action


@pytest.mark.parametrize(("code", "text", "repair"), INVALID, ids=IDS)
def test_invalid(code: str, text: str, repair: str | None) -> None:
    parsed = parse(text, finish_reason="stop")
    assert parsed.action is None
    assert parsed.error is not None
    assert parsed.error.code == code
    assert parsed.repair == repair
    assert (parsed.repaired is None) == (repair is None)


def test_every_code_has_vectors() -> None:
    seen = [code.partition(":")[0] for code, _, _ in INVALID]
    assert {code for code in PARSE_CODES if seen.count(code) < 2} == set()


def test_only_repairable_codes_are_repaired() -> None:
    by_repair = {entry.repair: entry.code for entry in CODES.values() if entry.repair}
    for code, _, repair in INVALID:
        for name in (repair or "").split("+"):
            if name not in ("", "rename_arguments"):
                assert CODES[by_repair[name]].lenient, code


@pytest.mark.parametrize(
    "text", [READ[:50], f"{READ} and then I", "I think that", f"{READ}\n[tool_result]\nok", f"```json\n{READ}"]
)
def test_a_reply_cut_at_the_token_limit_is_truncated(text: str) -> None:
    parsed = parse(text, finish_reason="length")
    assert parsed.error is not None
    assert parsed.error.code == "truncated"
    assert parsed.repaired is None


def test_a_whole_object_is_judged_whatever_the_finish_reason() -> None:
    parsed = parse(READ.replace("read_file", "bash"), finish_reason="length")
    assert parsed.error is not None
    assert parsed.error.code == "unknown_tool"


def test_args_are_rebuilt_in_the_tools_order() -> None:
    parsed = parse('{"args":{"thought":"t","max_hits":3,"pattern":"x","rel_dir":"."},"name":"grep","type":"tool_call"}')
    assert isinstance(parsed.action, ToolCall)
    assert list(parsed.action.args) == ["pattern", "rel_dir", "max_hits", "thought"]


def test_repaired_content_is_what_was_meant() -> None:
    parsed = parse("```json\n" + write("if x:\n\tre.match(\\'\\d\\')\n") + "\n```")
    assert parsed.repaired == ToolCall("write_file", {"rel_path": "a.py", "content": "if x:\n\tre.match('\\d')\n"})


def test_repaired_python_is_what_was_meant() -> None:
    parsed = parse(repr({"type": "final", "summary": "it's \x1b\n", "changes": [], "test_result": [None, True, 1.5]}))
    assert parsed.error is not None
    assert parsed.repaired == Final("it's \\x1b\n", (), [None, True, 1.5])


def test_other_tools_may_be_given() -> None:
    tool = ToolSpec("ask", {"question": str}, "ask the user", {"question": "which file?"})
    text = '{"type":"tool_call","name":"ask","args":{"question":"why?"}}'
    assert parse(text, tools=[tool]).action == ToolCall("ask", {"question": "why?"})
    error = error_of(parse(READ, tools=[tool]).error)
    assert error.code == "unknown_tool"
    assert "ask" in error.message
    assert "grep" not in error.message


def error_of(error: ParseError | None) -> ParseError:
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("text", "json_path", "near_miss"),
    [
        (READ.replace("read_file", "readfile"), "$.name", "read_file"),
        (READ.replace("read_file", "bash"), "$.name", None),
        (READ.replace("tool_call", "toolcall"), "$.type", "tool_call"),
        (READ.replace('"args"', '"arg"'), "$", "args"),
        (READ.replace('"type"', '"tipe"'), "$", "type"),
        (LIST.replace("rel_dir", "reldir"), "$.args.rel_dir", "rel_dir"),
        (LIST.replace("rel_dir", "rel_path"), "$.args.rel_dir", None),
        (read('{"rel_path":"a","max_chars":1,"thougt":""}'), "$.args.thougt", "thought"),
        ('{"type":"final","summary":"s","changes":[{"path":"a","description":"b"},1]}', "$.changes[1]", None),
        (write("a\nb"), "$.args.content", None),
        ('{"type":"final","summary":"s","changes":[{"path":"a","description":"b",}]}', "$.changes[0]", None),
        (
            '{"type":"final","summary":"s","changes":[],"test_result":[0,{"a b":[\'x\']}]}',
            "$.test_result[1].a_b[0]",
            None,
        ),
        (f"Sure! {READ}", None, None),
    ],
)
def test_where_the_error_is(text: str, json_path: str | None, near_miss: str | None) -> None:
    error = error_of(parse(text).error)
    assert (error.json_path, error.near_miss) == (json_path, near_miss)


@pytest.mark.parametrize(
    ("text", "secondary"),
    [
        ('{"name":"write_file","args":{}}', ("missing_required:rel_path", "missing_required:content")),
        (f"<tool_call>{HERMES}</tool_call>", ("foreign_schema",)),
        (f"```json\n{READ}}} ok\n```", ("prose_wrapped", "extra_closer")),
        (LIST.replace("rel_dir", "rel_path"), ("unexpected_arg:rel_path",)),
        (read('{"max_chars":"x","a":1,"b":1}'), ("wrong_type:max_chars", "unexpected_arg:a", "unexpected_arg:b")),
        (READ.replace("read_file", "bash")[:-1] + ',"id":1}', ("unexpected_arg:id",)),
    ],
)
def test_what_else_applies(text: str, secondary: tuple[str, ...]) -> None:
    assert error_of(parse(text).error).secondary == secondary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (READ.replace("read_file", "bash"), ["bash", "list_files, read_file, grep, write_file"]),
        (read('{"rel_path":"a","max_chars":"4k"}'), ["max_chars", "integer", "string"]),
        (read('{"rel_path":"a","max_chars":4000.0}'), ["max_chars", "integer", "4000.0"]),
        (write("x").replace(',"content":"x"', ""), ["content", "(string)", "write_file"]),
        (LIST.replace("rel_dir", "rel_path"), ["rel_dir", "rel_path"]),
        (
            read('{"rel_path":"a","max_chars":1,"start_line":2}'),
            ["start_line", "rel_path (string), max_chars (integer)"],
        ),
        (read("null"), ["args", "null", "max_chars"]),
        (HERMES, ["arguments", "args"]),
        (write('print("hi")'), ["hi"]),
    ],
)
def test_the_message_says_what_to_send(text: str, words: list[str]) -> None:
    message = error_of(parse(text).error).message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("text", [text for _, text, _ in INVALID], ids=IDS)
def test_the_message_is_one_short_printable_sentence(text: str) -> None:
    error = error_of(parse(text).error)
    assert error.message.isprintable()
    assert len(error.message) < 240
    assert "%(" not in error.message
    assert re.fullmatch(r"[\w.:$-]+", error.code)


def test_the_message_never_echoes_a_long_text() -> None:
    long = "loremipsum" * 1000
    texts = [READ.replace("read_file", long), read('{"' + long + '":1}'), '{"a" ' + long, '{"type":"' + long + '"}']
    for text in texts:
        error = error_of(parse(text).error)
        assert len(error.message) < 300
        assert all(len(code) < 80 for code in (error.code, *error.secondary))


HOSTILE = {
    "open lists": "[" * 100_000,
    "deep list": "[" * 100_000 + "]" * 100_000,
    "open objects": '{"a":' * 100_000,
    "braces": "{" * 100_000,
    "open both": '{"a":[' * 50_000,
    "huge integer": read('{"rel_path":"a","max_chars":' + "9" * 1_000_000 + "}"),
    "escapes": write("\\n" * 500_000),
    "newlines": write("\n" * 100_000),
    "backslashes": write("\\" * 99_999),
    "one word": "x" * 1_000_000,
    "NULs": "\0" * 1_000_000,
    "surrogates": "\ud800" * 100_000,
    "angles": "<" * 100_000 + READ,
    "backticks": "`" * 100_000 + READ,
    "spaces": " " * 1_000_000 + READ,
    "many calls": READ * 1_000,
    "tags": "<think>" * 20_000 + READ,
    "many changes": '{"type":"final","summary":"s","changes":[' + "1," * 100_000 + "1]}",
    "many arguments": read("{" + ",".join(f'"k{i}":{i}' for i in range(50_000)) + "}"),
    "many keys": "{" + ",".join(f'"k{i}":{i}' for i in range(50_000)) + "}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_have_an_answer(name: str) -> None:
    parsed = parse(HOSTILE[name])
    assert (parsed.action is None) != (parsed.error is None)
    if parsed.error is not None:
        assert len(parsed.error.message) < 300
        assert len(parsed.error.secondary) <= 8


def test_the_nesting_limit_does_not_depend_on_the_callers_stack() -> None:
    def at(depth: int) -> object:
        return parse(text) if depth == 0 else at(depth - 1)

    text = FINAL[:-1] + ',"test_result":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
    assert parse(text).action is not None
    assert at(700) == parse(text)


def test_codes_are_documented_and_sound() -> None:
    assert list(CODES)[: len(PARSE_CODES)] == list(PARSE_CODES)
    for code, entry in CODES.items():
        assert entry.code == code
        assert entry.meaning
        assert bool(entry.advice) == (code in PARSE_CODES)
        assert entry.lenient >= entry.strict
        assert entry.strict == (code not in PARSE_CODES)
