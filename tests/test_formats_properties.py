"""Whatever is written is valid, and what is valid no longer is when it is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from format_kit import exported, kind_of, state
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import formats
from builders.examples import Example, Pair, SftRow, State
from builders.formats import FORMATS, KINDS, Format
from builders.validate import validate
from pytest_repoagent.protocol.actions import Message

TEXTS: tuple[Format, ...] = ("together", "openai", "trl", "sharegpt")
content = st.text(max_size=30)
said = st.text(min_size=1, max_size=30).filter(str.strip)


@st.composite
def states(draw: st.DrawFn) -> State:
    messages: list[Message] = [{"role": "system", "content": draw(content)}, {"role": "user", "content": draw(content)}]
    for reply in draw(st.lists(st.tuples(content, content), max_size=3)):
        messages += [{"role": "assistant", "content": reply[0]}, {"role": "user", "content": reply[1]}]
    return state(*messages)


weight = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
steps = st.tuples(states(), said, weight).map(lambda parts: SftRow(*parts))
pairs = st.builds(Pair, states(), said, content, st.just("same_state"), weight=weight).filter(
    lambda pair: pair.preferred != pair.rejected
)


@st.composite
def trajectories(draw: st.DrawFn) -> SftRow:
    row = draw(steps)
    answers = [
        position
        for position, message in enumerate(row.state.messages)
        if message["role"] == "assistant" and message["content"].strip()
    ]
    trained = draw(st.lists(st.sampled_from(answers), unique=True)) if answers else []
    return SftRow(row.state, row.target, row.weight, trained=tuple(sorted(trained)))


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_written_is_valid(format: Format, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    rows = trajectories() if format in ("together", "openai") else steps
    examples: list[Example] = data.draw(st.lists(rows if kind == "sft" else pairs, min_size=1, max_size=3))
    with TemporaryDirectory() as folder:
        report = validate(exported(Path(folder), examples, format), format, kind)
    assert report.findings == ()
    assert report.rows == len(examples)


Node = dict[str, Any] | list[Any]


def nodes(value: Any) -> list[Node]:
    """Every object and array of a row, itself first."""
    if isinstance(value, dict):
        return [value, *(node for item in value.values() for node in nodes(item))]
    if isinstance(value, list):
        return [value, *(node for item in value for node in nodes(item))]
    return []


def objects(row: Node) -> list[dict[str, Any]]:
    return [node for node in nodes(row) if isinstance(node, dict)]


def arrays(row: Node) -> list[list[Any]]:
    return [node for node in nodes(row) if isinstance(node, list)]


def remove_a_field(row: Node, data: st.DataObject) -> None:
    """Any field but a weight, which may be missing everywhere."""
    places = [(node, key) for node in objects(row) for key in node if key != "weight"]
    node, key = data.draw(st.sampled_from(places))
    del node[key]


def add_a_field(row: Node, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(objects(row)))
    node[data.draw(st.sampled_from(["id", "train", "reward", ""]))] = 1


def change_a_type(row: Node, data: st.DataObject) -> None:
    places = [(node, key) for node in objects(row) for key in node]
    node, key = data.draw(st.sampled_from(places))
    others: list[Any] = [None, [], {}, True, "x" if not isinstance(node[key], str) else 7]
    node[key] = data.draw(st.sampled_from([other for other in others if type(other) is not type(node[key])]))


def change_a_role(row: Node, data: st.DataObject) -> None:
    """Any into any, but for a system prompt into a greeting, which Together's pairs may start with."""
    places = [(node, key) for node in objects(row) for key in ("role", "from") if key in node]
    node, key = data.draw(st.sampled_from(places))
    words = ["system", "user", "assistant", "tool"] if key == "role" else ["system", "human", "gpt", "observation"]
    node[key] = data.draw(
        st.sampled_from([word for word in words if {word, node[key]} != {"system", "assistant"} and word != node[key]])
    )


def repeat_a_message(row: Node, data: st.DataObject) -> None:
    messages = data.draw(st.sampled_from(arrays(row)))
    index = data.draw(st.integers(0, len(messages) - 1))
    messages.insert(index, messages[index])


def remove_a_message(row: Node, data: st.DataObject) -> None:
    """Any but the system prompt, which is optional."""
    messages = data.draw(st.sampled_from(arrays(row)))
    first = 1 if "system" in messages[0].values() else 0
    del messages[data.draw(st.integers(first, len(messages) - 1))]


def say_nothing(row: Node, data: st.DataObject) -> None:
    """Blank out what is to be learned."""
    assert isinstance(row, dict)
    target = next(
        row[key] for key in ("completion", "chosen", "preferred_output", "messages", "conversations") if key in row
    )
    message = target[-1] if isinstance(target, list) else target
    message["content" if "content" in message else "value"] = data.draw(st.sampled_from(["", " ", "\n\t"]))


BREAKS: list[Callable[[Node, st.DataObject], None]] = [
    remove_a_field,
    add_a_field,
    change_a_type,
    change_a_role,
    repeat_a_message,
    remove_a_message,
    say_nothing,
]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__)
@given(data=st.data())
def test_a_broken_row_is_refused(broken: Callable[[Node, st.DataObject], None], data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(TEXTS))
    example: Example = data.draw(steps | pairs)
    row = json.loads(formats.line(example, format))
    broken(row, data)
    with TemporaryDirectory() as folder:
        path = Path(folder, "train.jsonl")
        path.write_text(json.dumps(row) + "\n")
        report = validate(path, format, kind_of([example]))
    assert report.total > 0, row
    assert "together-sdk" not in {finding.rule for finding in report.findings}


@given(data=st.data())
def test_a_damaged_line_is_refused(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(TEXTS))
    line = formats.line(data.draw(steps | pairs), format).rstrip(b"\n")
    place = data.draw(st.integers(1, len(line) - 1))
    damaged = data.draw(st.sampled_from([line[:place], line[:place] + b"\xff" + line[place:], line[place:], line * 2]))
    with TemporaryDirectory() as folder:
        path = Path(folder, "train.jsonl")
        path.write_bytes(damaged + b"\n")
        assert validate(path, format).total > 0
