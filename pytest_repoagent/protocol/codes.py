"""The taxonomy: every code that this project gives to a model's reply, in order of decision.

The first stages are the parser's: a reply is judged by ``transport`` (is it a whole reply?), ``json`` (is it one
JSON value and nothing else?), ``envelope`` (is it a tool call or a final?) and ``args``. Where several codes
apply, the first in this table is the reply's code and the others are recorded beside it. The last stages are for
actions: ``value`` and ``tool`` are what a tool answers, ``conduct`` flags what was valid, ran, and was still poor.

``strict`` says whether a reply with the code counts as strictly valid, ``lenient`` whether it does to a reader who
repairs what is unambiguous. A code that concerns one argument is written ``code:argument``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ParseStage = Literal["transport", "json", "envelope", "args"]
Stage = Literal["transport", "json", "envelope", "args", "value", "tool", "conduct"]


@dataclass(frozen=True)
class Code:
    """One code.

    Attributes:
        code: its name, without an argument.
        stage: who finds it; the first four are the parser's.
        meaning: one line of documentation.
        strict: whether such a reply is strictly valid.
        lenient: whether a lenient reader may still execute it.
        repair: the name of the lenient reader's repair, where it needs one.
        advice: the sentence sent to the model, with ``%(word)s`` blanks; empty where a tool words its own.
    """

    code: str
    stage: Stage
    meaning: str
    strict: bool = False
    lenient: bool = False
    repair: str | None = None
    advice: str = ""


def _parser(stage: ParseStage, code: str, meaning: str, advice: str, repair: str | None = None) -> Code:
    return Code(code, stage, meaning, False, repair is not None, repair, advice)


_PARSER = (
    _parser(
        "transport",
        "empty",
        "nothing but whitespace",
        "The message had no text (tool calls outside the text are not read); write exactly one JSON object as text.",
    ),
    _parser(
        "transport",
        "truncated",
        "a string or object still open at the end (a closing fence or tag aside), or finish_reason is length "
        "and the text is not one whole value",
        "The reply ended before the JSON object was complete; send the whole object again, shorter if it was long.",
    ),
    _parser(
        "json",
        "code_fence",
        "one object, inside a Markdown code fence or backticks",
        "The JSON was inside a code fence; send the bare object, starting with { and ending with }.",
        "strip_fence",
    ),
    _parser(
        "json",
        "prose_wrapped",
        "one object with other text before or after it",
        'There was text around the JSON; send only the object and put remarks into the argument "thought".',
        "strip_prose",
    ),
    _parser(
        "json",
        "tag_wrapped",
        "one object inside or after tags such as <tool_call>, [TOOL_CALLS] or <think>..</think>",
        'There were tags around the JSON; send only the bare object {"type":..., ...} without any tag.',
        "strip_tags",
    ),
    _parser(
        "json",
        "multiple_objects",
        "more than one object; taking the first would hide the error and execute half an intent",
        "There was more than one JSON object; send one action now and the next after its result.",
    ),
    _parser(
        "json",
        "hallucinated_tool_result",
        "outside any object, the model wrote the driver's line: [tool_result], [TESTS ..], [parse_error] or "
        "<tool_response>",
        "You wrote a tool result yourself; send one action, stop, and wait for the real result.",
    ),
    _parser(
        "json",
        "control_char",
        "a literal newline, tab or other control character inside a string",
        "A string contains a literal newline, tab or control character; write \\n or \\t inside JSON strings.",
        "escape_control",
    ),
    _parser(
        "json",
        "extra_closer",
        "closing brackets after the object is closed",
        "There was an extra closing bracket after the JSON object; end it with the } that closes it.",
        "drop_closer",
    ),
    _parser(
        "json",
        "trailing_comma",
        "a comma before a closing bracket, or after the object",
        "There was a comma with nothing after it; remove the comma before } or ].",
        "drop_comma",
    ),
    _parser(
        "json",
        "bad_escape",
        "a backslash that begins no JSON escape, such as \\d or \\', or half a surrogate pair",
        "A string has a backslash that is no JSON escape; write every literal backslash as \\\\ and ' without one.",
        "keep_backslash",
    ),
    _parser(
        "json",
        "triple_quoted",
        "a string in Python's triple quotes",
        'Triple quotes are not JSON; use one pair of double quotes with \\n for newlines and \\" for quotes.',
    ),
    _parser(
        "json",
        "python_literal",
        "Python's spelling: single-quoted strings, True, False, None",
        "That is Python, not JSON; use double quotes for every string, and true, false, null.",
        "read_python",
    ),
    _parser(
        "json",
        "duplicate_key",
        "one object names a key twice",
        "A key appears twice in one object; send every key once.",
    ),
    _parser(
        "json",
        "malformed_json",
        "an object was begun and is not JSON: any other syntax error, NaN, numbers beyond a double, nesting "
        "deeper than 64, half a surrogate pair unescaped",
        "The JSON is broken near: %(excerpt)s - send one valid JSON object with quoted keys and escaped quotes.",
    ),
    _parser(
        "json",
        "no_json",
        "no object was begun",
        'There was no JSON object; send exactly one object, such as {"type":"tool_call","name":...,"args":{...}}.',
    ),
    _parser(
        "envelope",
        "top_level_not_object",
        "JSON, but a list, string, number or literal",
        "The reply was %(given)s; send one JSON object, not a list or a bare value.",
    ),
    _parser(
        "envelope",
        "missing_type",
        "no type, and no sign of another schema",
        'The object has no "type"; add "type":"tool_call" (with name, args) or "type":"final" (with summary, changes).',
    ),
    _parser(
        "envelope",
        "unknown_type",
        "a type other than tool_call and final",
        '"type" must be "tool_call" or "final"; a tool is called by "type":"tool_call","name":...,"args":{...}.',
    ),
    _parser(
        "envelope",
        "foreign_schema",
        "no type, but another protocol's keys: arguments, tool, action, function ... (inside a tool-call tag, "
        "name and arguments are read leniently)",
        'Use our keys, not "%(given)s": {"type":"tool_call","name":...,"args":{...}}.',
    ),
    _parser(
        "envelope",
        "missing_name",
        "a tool call without a name, or with one that is no string",
        'The tool call has no "name"; set it to one of: %(tools)s.',
    ),
    _parser(
        "envelope",
        "unknown_tool",
        "a tool call of a tool that does not exist",
        'There is no tool "%(given)s"%(hint)s; use one of: %(tools)s.',
    ),
    _parser(
        "envelope",
        "missing_args",
        "a tool call without args",
        'The tool call has no "args"; add "args" as an object%(signature)s.',
    ),
    _parser(
        "envelope",
        "args_stringified",
        "args is a string that holds a JSON object",
        '"args" was a string; send it as a JSON object, without quotes around it.',
        "parse_args",
    ),
    _parser(
        "envelope",
        "args_not_object",
        "args is anything else that is no object",
        '"args" was %(given)s; send it as an object%(signature)s.',
    ),
    _parser(
        "args",
        "missing_required",
        "a required argument is missing",
        '"%(arg)s" (%(type)s) is missing%(hint)s; %(owner)s takes: %(signature)s.',
    ),
    _parser(
        "args",
        "wrong_type",
        "an argument of another JSON type; a boolean or 1.0 is no integer (only a string of digits is repaired)",
        '"%(arg)s" must be %(type)s, but was %(given)s.',
        "read_number",
    ),
    _parser(
        "args",
        "unexpected_arg",
        "an argument, or a key of the envelope, that does not exist",
        '"%(arg)s" does not belong in %(owner)s%(hint)s, which takes only: %(signature)s.',
        "drop_arg",
    ),
)


def _valid(stage: Stage, code: str, meaning: str) -> Code:
    return Code(code, stage, meaning, strict=True, lenient=True)


_OTHERS = (
    _valid("value", "empty_value", "an argument that must not be empty is"),
    _valid("value", "path_absolute", "an absolute path"),
    _valid("value", "path_escape", "a path that leaves the workspace, by .., backslashes or a symlink"),
    _valid("value", "out_of_range", "a number outside its limits, such as max_chars 0"),
    _valid("value", "invalid_regex", "a pattern that is no RE2 regular expression"),
    _valid("tool", "not_found", "no such file or directory"),
    _valid("tool", "is_directory", "a directory where a file is needed, or a file where a directory is"),
    _valid("tool", "binary_file", "a file that is not UTF-8 text"),
    _valid("tool", "protected_path", "a path that may not be read or written"),
    _valid("tool", "too_large", "content beyond the size limit, or too many files written"),
    _valid(
        "conduct",
        "exact_repeat",
        "a call sent before while nothing changed, a write sent before, or the same invalid reply",
    ),
    _valid("conduct", "near_repeat", "a call sent before, but for a smaller window, while nothing changed"),
    _valid("conduct", "no_op_write", "a write that changes nothing"),
    _valid("conduct", "content_syntax_error", "Python content that does not compile"),
    _valid("conduct", "content_elided", "content with '... rest unchanged' in place of code"),
    _valid("conduct", "fence_or_line_numbers_in_content", "content wrapped in a fence or with line numbers"),
    _valid("conduct", "write_before_read", "a write to an existing file that was never read"),
    _valid("conduct", "premature_final", "a final before any file was changed"),
)

CODES: Mapping[str, Code] = {code.code: code for code in (*_PARSER, *_OTHERS)}
"""Every code by name; iteration is in order of decision."""

PARSE_CODES: tuple[str, ...] = tuple(code.code for code in _PARSER)
"""The codes that ``parse`` gives, in order of decision."""
