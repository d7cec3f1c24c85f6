from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from format_kit import exported, state

from builders import formats
from builders.examples import Example, Pair, SftRow
from builders.formats import FORMATS, KINDS, Format, Kind
from builders.validate import Report, validate
from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.protocol.actions import Message

SYSTEM: Message = {"role": "system", "content": "rules"}
GOAL: Message = {"role": "user", "content": "GOAL:\nfix caf\u00e9"}
FIRST: Message = {"role": "assistant", "content": '{"type":"tool_call"}'}
REPLY: Message = {"role": "user", "content": "[tool_result]\n\u2028 \x00"}
TARGET = '{"type":"final","summary":"caf\u00e9"}'


STATE = state(SYSTEM, GOAL, FIRST, REPLY)
STEP = SftRow(STATE, TARGET, 0.5)
TRAJECTORY = SftRow(STATE, TARGET, 2.0, trained=(2,))
PAIR = Pair(STATE, TARGET, "I will look.", "same_state", weight=1.5)


def spell(example: Example, format: Format) -> dict[str, Any]:
    line = formats.line(example, format)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    row = json.loads(line)
    assert line.decode() == json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
    assert isinstance(row, dict)
    return row


def chat(message: Message, **more: int) -> dict[str, Any]:
    return {**message, **more}


ANSWER = {"role": "assistant", "content": TARGET}
WRONG = {"role": "assistant", "content": "I will look."}


def test_together_weighs_every_message_and_the_row() -> None:
    history = [chat(SYSTEM, weight=0), chat(GOAL, weight=0), chat(FIRST, weight=0), chat(REPLY, weight=0)]
    assert spell(STEP, "together") == {"messages": [*history, {**ANSWER, "weight": 1}], "weight": 0.5}
    history[2]["weight"] = 1
    assert spell(TRAJECTORY, "together") == {"messages": [*history, {**ANSWER, "weight": 1}], "weight": 2.0}
    pair = {"input": {"messages": list(STATE.messages)}, "preferred_output": [ANSWER], "non_preferred_output": [WRONG]}
    assert spell(PAIR, "together") == {**pair, "weight": 1.5}


def test_openai_weighs_what_the_assistant_said() -> None:
    row = [SYSTEM, GOAL, chat(FIRST, weight=0), REPLY, {**ANSWER, "weight": 1}]
    assert spell(STEP, "openai") == {"messages": row}
    assert spell(TRAJECTORY, "openai")["messages"][2]["weight"] == 1
    pair = {"input": {"messages": list(STATE.messages)}, "preferred_output": [ANSWER], "non_preferred_output": [WRONG]}
    assert spell(PAIR, "openai") == pair


@pytest.mark.parametrize("format", ["trl", "parquet"])
def test_trl_has_a_prompt_apart(format: Format) -> None:
    assert spell(STEP, format) == {"prompt": list(STATE.messages), "completion": [ANSWER]}
    assert spell(PAIR, format) == {"prompt": list(STATE.messages), "chosen": [ANSWER], "rejected": [WRONG]}


def test_sharegpt_has_the_system_prompt_where_it_needs_no_setting() -> None:
    turns = [("system", SYSTEM), ("human", GOAL), ("gpt", FIRST), ("human", REPLY)]
    history = [{"from": role, "value": message["content"]} for role, message in turns]
    answer = {"from": "gpt", "value": TARGET}
    assert spell(STEP, "sharegpt") == {"conversations": [*history, answer]}
    rejected = {"from": "gpt", "value": "I will look."}
    assert spell(PAIR, "sharegpt") == {"conversations": history, "chosen": answer, "rejected": rejected}


@pytest.mark.parametrize("format", ["trl", "parquet", "sharegpt"])
def test_a_format_without_masks_refuses_a_trajectory(format: Format) -> None:
    with pytest.raises(UsageError, match=f"{format} has no masks .* --unit step"):
        formats.line(TRAJECTORY, format)


def test_half_a_surrogate_pair_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match="step 1 of rollout rollout-1 has half a surrogate pair"):
        formats.line(SftRow(STATE, "\ud83d", 1.0), "trl")


def test_a_weight_that_is_no_number_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        formats.line(SftRow(STATE, TARGET, math.nan), "together")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_notes_say_what_is_lost(format: Format, kind: Kind) -> None:
    text = " ".join(formats.notes(format, kind))
    carries = "weight" in spell(STEP if kind == "sft" else PAIR, format)
    assert ("Row weights are not in the file" in text) != carries
    assert ("mask_history" in text) == (format == "sharegpt" and kind == "sft")
    assert ("max_length=None" in text) == (format in ("trl", "parquet"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_entry_for_llama_factory_names_the_columns(kind: Kind) -> None:
    entry = json.loads(formats.notes("sharegpt", kind)[-1].partition(": ")[2])
    assert set(entry["columns"].values()) == spell(STEP if kind == "sft" else PAIR, "sharegpt").keys()
    assert entry["ranking"] == (kind == "preference")


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_holds_the_rows_of_trl_in_order_and_is_the_same_every_time(kind: Kind, tmp_path: Path) -> None:
    step = [SftRow(STATE, f"{number}\x00\u00e9", 1.0) for number in range(5000)]
    pair = [Pair(STATE, f"{number}\x00\u00e9", str(number), "same_state") for number in range(5000)]
    examples: Sequence[Example] = step if kind == "sft" else pair
    path = exported(tmp_path, examples, "parquet")
    with duckdb.connect() as connection:
        result = connection.execute(f"FROM '{path}'")
        names = [column[0] for column in result.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    assert rows == [spell(example, "trl") for example in examples]
    before = path.read_bytes()
    assert exported(tmp_path, examples, "parquet").read_bytes() == before
    assert validate(path, "parquet") == Report(5000, kind, (), 0)


def test_a_parquet_file_that_cannot_be_written_is_an_infrastructure_error(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(formats.line(STEP, "trl"))
    with pytest.raises(InfrastructureError, match="cannot be written"):
        formats.write_parquet(lines, "sft", tmp_path / "none" / "train.parquet")
