"""States to train on, and files written from examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builders import formats
from builders.examples import Example, Pair, State
from builders.formats import Format, Kind
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.render import prompt_sha256


def state(*messages: Message) -> State:
    hash = prompt_sha256(messages)
    return State(messages, hash, hash, "rollout-1", "run-1", 1, "minibugs/gcd", "gcd", "oracle")


def kind_of(examples: Sequence[Example]) -> Kind:
    return "preference" if isinstance(examples[0], Pair) else "sft"


def exported(folder: Path, examples: Sequence[Example], format: Format) -> Path:
    """The file of these examples, written as the builders write it."""
    path = folder / formats.file_name("train", format)
    lines = folder / "lines.jsonl"
    lines.write_bytes(b"".join(formats.line(example, format) for example in examples))
    if format == "parquet":
        formats.write_parquet(lines, kind_of(examples), path)
    else:
        lines.rename(path)
    return path
