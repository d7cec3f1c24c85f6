"""The positive control: it knows the fix and follows the protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent.errors import ModelConfigError, SourceError
from pytest_repoagent.models import oracle
from pytest_repoagent.models.base import ModelContext, RolloutKey
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.parse import parse

FIX = {"src/a.py": "x = 'caf\u00e9'\n", "src/b.py": "y = 2\n"}


def context() -> ModelContext:
    def known_fix(task_id: str) -> Mapping[str, str]:
        if task_id != "tiny/both":
            raise SourceError(f"{task_id} has no known fix.")
        return FIX

    def build(spec: str) -> Any:
        raise AssertionError("oracle wraps no model")

    return ModelContext(
        temperature=0.0,
        max_tokens=1,
        base_url=None,
        request_timeout_s=1.0,
        retries=0,
        trace_root=Path(),
        known_fix=known_fix,
        build=build,
    )


def talk(*answers: str) -> list[str]:
    """The replies to the goal and to each answer."""
    conversation = oracle.create("", context()).start(RolloutKey("tiny/both", "oracle", 0, 0))
    messages: list[Message] = [{"role": "system", "content": "rules"}, {"role": "user", "content": "GOAL:\nfix it"}]
    replies = [conversation.reply(messages).text]
    for answer in answers:
        messages += [{"role": "assistant", "content": replies[-1]}, {"role": "user", "content": answer}]
        replies.append(conversation.reply(messages).text)
    return replies


def test_it_lists_reads_writes_every_file_and_ends() -> None:
    actions = [json.loads(text) for text in talk(*["[tool_result]\nok"] * 5)]
    assert [a.get("name", a["type"]) for a in actions] == [
        "list_files",
        "read_file",
        "read_file",
        "write_file",
        "write_file",
        "final",
    ]
    assert {a["args"]["rel_path"]: a["args"]["content"] for a in actions[3:5]} == FIX
    assert [change["path"] for change in actions[5]["changes"]] == list(FIX)


def test_every_reply_is_strictly_valid() -> None:
    assert [parse(text).error for text in talk(*["[tool_result]\nok"] * 5)] == [None] * 6


def test_a_parse_error_is_answered_with_the_same_action() -> None:
    replies = talk("[parse_error] no_json: no", "[tool_result]\nok", "[parse_error] no_json: no")
    assert replies[0] == replies[1]
    assert replies[2] == replies[3] != replies[1]


def test_the_final_stands_whatever_comes() -> None:
    replies = talk(*["[tool_result]\nok"] * 7)
    assert replies[5] == replies[6] == replies[7]


def test_no_known_fix_is_told_at_the_start() -> None:
    model = oracle.create("", context())
    model.check()
    with pytest.raises(SourceError, match="tiny/none has no known fix"):
        model.start(RolloutKey("tiny/none", "oracle", 0, 0))


def test_it_takes_no_name() -> None:
    with pytest.raises(ModelConfigError, match=r"oracle:delphi.*--model=oracle"):
        oracle.create("delphi", context())
