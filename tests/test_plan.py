from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pairs_kit import fill

from builders.tasks import Tasks
from pytest_repoagent.models.base import Model, ModelContext, RolloutKey
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.render import opening, state, tool_reply
from pytest_repoagent.registry import built_in
from pytest_repoagent.rollout import Rollout


def answer(spec: str, task_id: str, messages: list[Message]) -> Any:
    """What a model says that was not there before."""
    registry = built_in()

    def unused(spec: str) -> Model:
        raise AssertionError

    context = ModelContext(0.0, 1, None, 1.0, 0, Path(), Tasks([], None, registry).known_fix, unused)
    conversation = registry.build_model(spec, context).start(RolloutKey(task_id, spec, 0, 0))
    return json.loads(conversation.reply(messages).text)


def states(rollout: Rollout) -> list[list[Message]]:
    new, raws = [s.new_messages for s in rollout.trajectory], [s.raw for s in rollout.trajectory]
    return [list(state(new, raws, step.index, "full")) for step in rollout.trajectory]


@pytest.mark.parametrize("model", ["oracle", "repair"])
def test_it_goes_on_from_any_state_as_if_it_had_been_there_all_along(model: str, tmp_path: Path) -> None:
    """Past invalid replies too: novice sends some."""
    for rollout in fill(tmp_path / "store.duckdb", [model, f"novice:{model}@0.4"], max_iters=9):
        for step, messages in zip(rollout.trajectory, states(rollout), strict=True):
            if step.strict_valid and not messages[-1]["content"].startswith("[parse_error]"):
                assert answer(model, rollout.task_id, messages) == json.loads(step.raw)


def test_it_goes_on_from_another_models_state(tmp_path: Path) -> None:
    (rollout, *_) = fill(tmp_path / "store.duckdb", ["oracle"])
    said = [answer("repair", rollout.task_id, messages) for messages in states(rollout)]
    assert [action.get("name", action["type"]) for action in said] == ["read_file", "read_file", "write_file", "final"]


def test_what_was_elided_or_cut_is_asked_for_again() -> None:
    goal = opening("Make tests/test_unique.py pass by correcting lib/unique.py.")
    look = '{"type":"tool_call","name":"read_file","args":{"rel_path":"lib/unique.py","max_chars":9}}'
    for shown in ("def uniq\n[truncated: the first 8 of 30 characters]", "[elided]"):
        messages: list[Message] = [*goal, {"role": "assistant", "content": look}, tool_reply(shown)]
        assert answer("repair", "any/task", messages)["name"] == "read_file"
