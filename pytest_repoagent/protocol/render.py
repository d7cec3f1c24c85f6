"""The one renderer: the system prompt, every user message, and what of a conversation a step is asked with.

The live agent and every exporter call these functions and no others, so that a dataset row can be checked against
the ``prompt_sha256`` stored with its step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.protocol.actions import TOOLS, Message, ParseError, ToolSpec

TOOL_RESULT = "[tool_result]"
ELIDED = f"{TOOL_RESULT}\n[elided]"

_RULES = """\
You are a code repair agent working on one repository. You act in turns. Each of your messages must be exactly one \
JSON object and nothing else: no prose before or after it, no code fence, no second object.

To use a tool, send
{"type":"tool_call","name":"<tool>","args":{...}}
with every argument of that tool. The tools:
"""

_ENDING = """\
All paths are relative to the repository root; "." is the root itself. Inside "args" you may add "thought", a short \
string for yourself. In "content", write the whole new file as one JSON string: a newline is \\n, a double quote is \\".

You cannot run tests. {tests}A message that starts with "[parse_error]" means your last message was not a valid \
action: send it again, corrected.

When the tests pass, or you cannot go on, send
{final}"""

_FINAL = (
    '{"type":"final","summary":"<what was wrong and what you did>",'
    '"changes":[{"path":"<file>","description":"<change>"}]}'
)
_TESTS_SHOWN = """\
After each write the driver runs them and tells you the result after "[tool_result]" as [TESTS PASS] or [TESTS FAIL]. \
"""

REFLECTION = (
    '[reflection] The tests still fail. Put a "thought" into the args of your next tool call: what is expected, which '
    "line gives something else, and what you will do differently."
)


def system_prompt(tools: Sequence[ToolSpec] = TOOLS, test_policy: str = "on_write") -> str:
    """What the model is told of the protocol; depends on the tools and the test policy and nothing else."""
    lines = []
    ending = _ENDING.format(tests=_TESTS_SHOWN if test_policy == "on_write" else "", final=_FINAL)
    for tool in tools:
        args = ", ".join(f"{name} ({_type_word(kind)})" for name, kind in tool.args.items())
        call = {"type": "tool_call", "name": tool.name, "args": dict(tool.example)}
        example = json.dumps(call, ensure_ascii=False, separators=(",", ":"))
        lines.append(f"- {tool.name}: {tool.summary}. Arguments: {args}.\n  {example}")
    return _RULES + "\n".join(lines) + "\n\n" + ending


def opening(goal: str, tools: Sequence[ToolSpec] = TOOLS, test_policy: str = "on_write") -> list[Message]:
    """The first two messages of every conversation."""
    return [
        {"role": "system", "content": system_prompt(tools, test_policy)},
        {"role": "user", "content": f"GOAL:\n{goal}"},
    ]


def tool_reply(text: str, *, tests: str | None = None, notes: Sequence[str] = ()) -> Message:
    """The user message after an executed or refused call.

    Args:
        text: what the tool said.
        tests: the line(s) of :func:`test_report`, if the driver ran the tests.
        notes: loop warnings and reflection prompts.
    """
    return {"role": "user", "content": "\n".join([TOOL_RESULT, text, *([tests] if tests else []), *notes])}


def refusal(code: str, message: str) -> str:
    """The text of a call that the tool refused."""
    return f"[error] {code}: {message}"


def parse_error_reply(error: ParseError, notes: Sequence[str] = ()) -> Message:
    """The user message after a reply that was no action."""
    return {"role": "user", "content": "\n".join([f"[parse_error] {error.code}: {error.message}", *notes])}


def test_report(passed: bool, text: str) -> str:
    """How a verdict is shown to the model."""
    return f"[TESTS {'PASS' if passed else 'FAIL'}] {text}"


def loop_warning(flag: str, valid: bool) -> str:
    """The note on a reply that loops: an invalid one sent again, or an action that can show nothing new."""
    if not valid:
        return "[loop_warning] You sent the same invalid message before. Change it as the error says."
    what = "did exactly this before" if flag == "exact_repeat" else "have seen all of this before"
    return f"[loop_warning] You {what}, and nothing has changed since. Do something else, or send final."


def check_window(policy: str) -> str:
    """``full`` or ``last_k:N`` with N at least 1, else a ValueError that says so."""
    if policy == "full" or re.fullmatch(r"last_k:[1-9][0-9]*", policy):
        return policy
    raise ValueError(f"window is {policy!r}, but must be 'full' or 'last_k:N' with N at least 1")


def apply_window(messages: Sequence[Message], policy: str) -> list[Message]:
    """What the model is asked with: everything, or with old tool results replaced by a one-line stub.

    ``last_k:N`` keeps the system prompt, the goal, every action, every parse error, and the last N user replies
    whole; older tool results become ``ELIDED``.
    """
    if check_window(policy) == "full":
        return list(messages)
    keep = int(policy.partition(":")[2])
    replies = [i for i, m in enumerate(messages) if m["role"] == "user" and i > 1]
    old = {i for i in replies[:-keep] if messages[i]["content"].startswith(TOOL_RESULT)}
    return [{"role": "user", "content": ELIDED} if i in old else m for i, m in enumerate(messages)]


def state(new_messages: Sequence[Sequence[Message]], replies: Sequence[str], step: int, window: str) -> list[Message]:
    """The messages that step ``step`` was asked with, put together from recorded steps.

    Args:
        new_messages: each step's recorded messages, from step 0.
        replies: each step's raw reply, from step 0; those before ``step`` are used.
        step: 0-based.
        window: the step's recorded window policy.
    """
    messages: list[Message] = list(new_messages[0])
    for index in range(1, step + 1):
        messages.append({"role": "assistant", "content": replies[index - 1]})
        messages += new_messages[index]
    return apply_window(messages, window)


def prompt_sha256(messages: Sequence[Message]) -> str:
    """The name of a state: the hash of exactly the messages a step is asked with."""
    return canonical_sha256([{"role": m["role"], "content": m["content"]} for m in messages])


def _type_word(kind: type[str] | type[int]) -> str:
    return "string" if kind is str else "integer"
