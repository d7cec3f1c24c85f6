from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import TOOLS, Message, ParseError, ToolSpec
from pytest_repoagent.protocol.parse import parse

CONVERSATION: list[Message] = [
    *render.opening("Fix it."),
    {"role": "assistant", "content": "a0"},
    {"role": "user", "content": "[tool_result]\nr0"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "[parse_error] empty: nothing"},
    {"role": "assistant", "content": "a2"},
    {"role": "user", "content": "[tool_result]\nr2"},
    {"role": "assistant", "content": "a3"},
    {"role": "user", "content": "[tool_result]\nr3"},
]


def test_the_system_prompt_shows_every_tool_and_its_examples_are_valid_actions() -> None:
    prompt = render.system_prompt()
    shown = [line.strip() for line in prompt.splitlines() if line.strip().startswith('{"type":"tool_call","name":"')]
    examples = [line for line in shown if "<tool>" not in line]
    assert [json.loads(line)["name"] for line in examples] == [tool.name for tool in TOOLS]
    assert all(parse(line).action is not None for line in examples)


def test_an_added_tool_is_in_the_prompt() -> None:
    extra = ToolSpec("run_linter", {"rel_path": str}, "lint a file", {"rel_path": "a.py"})
    assert "- run_linter: lint a file. Arguments: rel_path (string)." in render.system_prompt((*TOOLS, extra))


def test_messages_have_the_documented_shape() -> None:
    assert render.opening("Fix it.")[1] == {"role": "user", "content": "GOAL:\nFix it."}
    reply = render.tool_reply("Wrote a.py (3 chars).", tests=render.test_report(False, "1 failed"), notes=["[note]"])
    assert reply["content"] == "[tool_result]\nWrote a.py (3 chars).\n[TESTS FAIL] 1 failed\n[note]"
    assert render.test_report(True, "6 passed") == "[TESTS PASS] 6 passed"
    error = ParseError("missing_required:content", "content is missing", "args")
    assert render.parse_error_reply(error)["content"] == "[parse_error] missing_required:content: content is missing"
    assert render.refusal("not_found", "no a.py") == "[error] not_found: no a.py"
    warnings = {render.loop_warning(flag, valid) for flag in ("exact_repeat", "near_repeat") for valid in (True, False)}
    assert len(warnings) == 3
    assert all(warning.startswith("[loop_warning] You ") for warning in warnings)


def test_the_full_window_is_everything() -> None:
    assert render.apply_window(CONVERSATION, "full") == CONVERSATION


def test_a_window_elides_old_tool_results_and_nothing_else() -> None:
    sent = render.apply_window(CONVERSATION, "last_k:1")
    assert [m["content"] for m in sent[2:]] == [
        "a0",
        render.ELIDED,
        "a1",
        "[parse_error] empty: nothing",
        "a2",
        render.ELIDED,
        "a3",
        "[tool_result]\nr3",
    ]
    assert sent[:2] == CONVERSATION[:2]
    assert render.apply_window(CONVERSATION, "last_k:9") == CONVERSATION


@pytest.mark.parametrize("policy", ["", "last_k", "last_k:0", "last_k:-1", "last_k:1.5", "FULL", "last_5"])
def test_an_unknown_window_is_an_error_that_says_what_there_is(policy: str) -> None:
    with pytest.raises(ValueError, match="must be 'full' or 'last_k:N'"):
        render.check_window(policy)


@given(
    st.lists(st.tuples(st.text(), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(["full", "last_k:1", "last_k:3"]),
)
def test_recorded_deltas_give_back_every_state(turns: list[tuple[str, bool]], window: str) -> None:
    messages, sent = render.opening("goal"), 0
    deltas, replies, asked = [], [], []
    for reply, ok in turns:
        asked.append(render.apply_window(messages, window))
        deltas.append([m for m in messages[sent:] if m["role"] != "assistant"])
        sent = len(messages)
        replies.append(reply)
        messages.append({"role": "assistant", "content": reply})
        messages.append(render.tool_reply("t") if ok else {"role": "user", "content": "[parse_error] x"})
    for step, state in enumerate(asked):
        again = render.state(deltas, replies, step, window)
        assert again == state
        assert render.prompt_sha256(again) == render.prompt_sha256(state)


def test_the_hash_names_the_exact_messages() -> None:
    hashes = {
        render.prompt_sha256(messages)
        for messages in (CONVERSATION, CONVERSATION[:-1], render.apply_window(CONVERSATION, "last_k:1"))
    }
    assert len(hashes) == 3
    assert render.prompt_sha256([{"role": "user", "content": "\ud800"}])


@pytest.mark.parametrize(("policy", "promised"), [("on_write", True), ("final", False), ("never", False)])
def test_test_results_are_promised_where_they_come(policy: str, promised: bool) -> None:
    assert ("[TESTS PASS] or [TESTS FAIL]" in render.system_prompt(test_policy=policy)) is promised
