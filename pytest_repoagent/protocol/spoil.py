"""Write an action the wrong way: for every code of the parser, replies such as small models give.

The other direction of ``parse``: ``parse(spoil(action, code, rng))`` gives ``code`` for every valid action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from pytest_repoagent.protocol.actions import Action, Final, ToolCall, canonical

_MARK = "\ue000"
_NEXT_CALL = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":200}}'


def spoil(action: Action, code: str, rng: Random) -> str | None:
    """A reply that means ``action`` and is read as ``code``; None where that code cannot be had from it.

    Args:
        action: what the model wants.
        code: one of ``PARSE_CODES``.
        rng: chooses among the ways to make that mistake.
    """
    return _SPOILERS[code](action, rng)


def _empty(action: Action, rng: Random) -> str:
    return rng.choice(["", " ", "\n", "\n\n"])


def _truncated(action: Action, rng: Random) -> str:
    text = canonical(action)
    return text[: rng.randrange(len(text) // 3, len(text))]


def _code_fence(action: Action, rng: Random) -> str:
    return rng.choice(["```json\n%s\n```", "```\n%s\n```", "```json\n%s", "`%s`"]) % canonical(action)


def _prose_wrapped(action: Action, rng: Random) -> str:
    before = rng.choice(["Sure! ", "Let me do that.\n\n", "I'll go on with this call:\n", ""])
    after = rng.choice(["\n\nThis should help.", "\n\nLet me know what it says.", ""]) if before else "\n\nNow I wait."
    return before + canonical(action) + after


def _tag_wrapped(action: Action, rng: Random) -> str:
    text = canonical(action)
    forms = [f"<tool_call>\n{text}\n</tool_call>", f"[TOOL_CALLS] {text}", f"<think>\nNow this.\n</think>\n\n{text}"]
    if isinstance(action, ToolCall):
        hermes = _write({"name": action.name, "arguments": action.args})
        forms += [f"<tool_call>\n{hermes}\n</tool_call>"] * 2
    return rng.choice(forms)


def _multiple_objects(action: Action, rng: Random) -> str:
    return canonical(action) + rng.choice(["", "\n", "\n\n", ", "]) + rng.choice([_NEXT_CALL, canonical(action)])


def _hallucinated_tool_result(action: Action, rng: Random) -> str:
    result = rng.choice(["[tool_result]\nok", "[tool_result]\n[TESTS PASS] 6 passed", "<tool_response>\nok"])
    return f"{canonical(action)}\n{result}\n{rng.choice([_NEXT_CALL, ''])}"


def _control_char(action: Action, rng: Random) -> str:
    text = canonical(action)
    raw = re.sub(r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[0], text)
    return raw if raw != text else _marked(action).replace(_MARK, rng.choice(["\n", "\n\n", "\t"]))


def _extra_closer(action: Action, rng: Random) -> str:
    return canonical(action) + rng.choice(["}", "}}", "\n}", "]}"])


def _trailing_comma(action: Action, rng: Random) -> str:
    text = canonical(action)
    if isinstance(action, ToolCall) and rng.random() < 0.5:
        return text[:-2] + ",}}"
    return text[:-1] + ",}"


def _bad_escape(action: Action, rng: Random) -> str:
    text = canonical(action)
    if "'" in text:
        return text.replace("'", "\\'")
    return _marked(action).replace(_MARK, rng.choice([r" (\d)", r" it\'s", r" \w+", r" src\lib"]))


def _triple_quoted(action: Action, rng: Random) -> str | None:
    if not (isinstance(action, ToolCall) and "content" in action.args):
        return None
    content = str(action.args["content"]).replace('"""', "'''")
    args = {arg: value for arg, value in action.args.items() if arg != "content"}
    head = _write({"type": "tool_call", "name": action.name, "args": args})[:-2]
    return f'{head},"content":"""\n{content}\n"""}}}}'


def _python_literal(action: Action, rng: Random) -> str:
    return _python(action.to_json())


def _duplicate_key(action: Action, rng: Random) -> str:
    text = canonical(action)
    key = rng.choice(list(action.to_json()))
    return f'{{"{key}":{_write(action.to_json()[key])},{text[1:]}'


def _malformed_json(action: Action, rng: Random) -> str:
    old, new = rng.choice([('",', '" '), ('"type":', '"type" '), ('"type":', '"type"=')])
    return canonical(action).replace(old, new, 1)


def _no_json(action: Action, rng: Random) -> str:
    return rng.choice(
        [
            "I will read the file first.",
            "The bug seems to be in the loop condition, so I will change it.",
            "Let me look at the tests before I change anything.",
            f"I call {action.name} now." if isinstance(action, ToolCall) else "The task is done.",
        ]
    )


def _top_level_not_object(action: Action, rng: Random) -> str:
    text = canonical(action)
    return rng.choice([f"[{text}]", f"[{text},{_NEXT_CALL}]", _write(text)])


def _missing_type(action: Action, rng: Random) -> str:
    return _without(action, "type")


def _unknown_type(action: Action, rng: Random) -> str:
    words = ["function", "tool_use", "toolcall"] if isinstance(action, ToolCall) else ["answer", "finish", "done"]
    return _write({**action.to_json(), "type": rng.choice(words)})


def _foreign_schema(action: Action, rng: Random) -> str | None:
    if isinstance(action, Final):
        return None
    name, args = rng.choice(
        [("name", "arguments"), ("tool", "input"), ("action", "action_input"), ("function", "args")]
    )
    return _write({name: action.name, args: action.args})


def _missing_name(action: Action, rng: Random) -> str | None:
    if isinstance(action, Final):
        return None
    return rng.choice([_without(action, "name"), _write({**action.to_json(), "name": None})])


def _unknown_tool(action: Action, rng: Random) -> str | None:
    if isinstance(action, Final):
        return None
    return _write({**action.to_json(), "name": rng.choice(["run_tests", "bash", "open_file", "readfile", "edit"])})


def _missing_args(action: Action, rng: Random) -> str | None:
    if isinstance(action, Final):
        return None
    bare = {"type": "tool_call", "name": action.name}
    return rng.choice([_write(bare), _write({**bare, **action.args}), _write({**bare, "arguments": action.args})])


def _args_stringified(action: Action, rng: Random) -> str | None:
    return None if isinstance(action, Final) else _write({**action.to_json(), "args": _write(action.args)})


def _args_not_object(action: Action, rng: Random) -> str | None:
    if isinstance(action, Final):
        return None
    return _write({**action.to_json(), "args": rng.choice([None, list(action.args.values()), [action.args]])})


def _missing_required(action: Action, rng: Random) -> str:
    if isinstance(action, Final):
        return _without(action, rng.choice(["summary", "changes"]))
    dropped = rng.choice(_required(action))
    other = {"rel_dir": "rel_path", "rel_path": "path", "content": "text"}.get(dropped)
    args = {arg: value for arg, value in action.args.items() if arg != dropped}
    if other is not None and rng.random() < 0.5:
        args[other] = action.args[dropped]
    return _write({**action.to_json(), "args": args})


def _wrong_type(action: Action, rng: Random) -> str:
    if isinstance(action, Final):
        return _write({**action.to_json(), "changes": rng.choice([None, action.summary, {}])})
    arg = rng.choice(_required(action))
    value = action.args[arg]
    wrong: list[Any] = [None, [value]] if isinstance(value, str) else [str(value), str(value), float(value), None, True]
    return _write({**action.to_json(), "args": {**action.args, arg: rng.choice(wrong)}})


def _unexpected_arg(action: Action, rng: Random) -> str:
    if isinstance(action, Final) or rng.random() < 0.25:
        return _write({**action.to_json(), rng.choice(["id", "status", "reason"]): "1"})
    extra = rng.choice([("start_line", 1), ("encoding", "utf-8"), ("recursive", True)])
    return _write({**action.to_json(), "args": dict([*action.args.items(), extra])})


_SPOILERS: Mapping[str, Callable[[Action, Random], str | None]] = {
    "empty": _empty,
    "truncated": _truncated,
    "code_fence": _code_fence,
    "prose_wrapped": _prose_wrapped,
    "tag_wrapped": _tag_wrapped,
    "multiple_objects": _multiple_objects,
    "hallucinated_tool_result": _hallucinated_tool_result,
    "control_char": _control_char,
    "extra_closer": _extra_closer,
    "trailing_comma": _trailing_comma,
    "bad_escape": _bad_escape,
    "triple_quoted": _triple_quoted,
    "python_literal": _python_literal,
    "duplicate_key": _duplicate_key,
    "malformed_json": _malformed_json,
    "no_json": _no_json,
    "top_level_not_object": _top_level_not_object,
    "missing_type": _missing_type,
    "unknown_type": _unknown_type,
    "foreign_schema": _foreign_schema,
    "missing_name": _missing_name,
    "unknown_tool": _unknown_tool,
    "missing_args": _missing_args,
    "args_stringified": _args_stringified,
    "args_not_object": _args_not_object,
    "missing_required": _missing_required,
    "wrong_type": _wrong_type,
    "unexpected_arg": _unexpected_arg,
}


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without(action: Action, key: str) -> str:
    return _write({name: value for name, value in action.to_json().items() if name != key})


def _required(call: ToolCall) -> list[str]:
    return [arg for arg in call.args if arg != "thought"]


def _marked(action: Action) -> str:
    """The action with a mark at the end of the model's own words."""
    if isinstance(action, Final):
        return canonical(replace(action, summary=action.summary + _MARK))
    return canonical(replace(action, args={**action.args, "thought": f"{action.thought or 'First this.'}{_MARK}"}))


def _python(value: Any) -> str:
    """A JSON value in Python's spelling; a string that needs escapes stays as JSON writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_python(key)}: {_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    if isinstance(value, str):
        return f"'{value}'" if "'" not in value and _write(value) == f'"{value}"' else _write(value)
    return repr(value)
