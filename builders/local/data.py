"""Rows of Together's files as token ids. No row is ever cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builders.local.chat import Chat
from builders.progress import progress
from builders.tuning.data import File
from builders.tuning.request import Method
from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol.actions import Message

_NO_LOSS = -100  # what PyTorch's cross entropy ignores


@dataclass(frozen=True)
class Rows:
    """A file's rows, each a dict of the columns TRL's trainer reads; lengths in tokens.

    Attributes:
        too_long: rows that were left out because they have more tokens than allowed.
        longest: of those that are there.
        tokens: of all that are there; of a pair, both sides.
        learned: those with loss.
    """

    rows: list[dict[str, Any]]
    too_long: int
    longest: int
    tokens: int
    learned: int


@dataclass(frozen=True)
class Bound:
    """How many tokens a row may have.

    Attributes:
        context: what the model can read; None where its configuration does not say.
        chosen: what the user allows; longer rows are left out.
    """

    context: int | None
    chosen: int | None


def read(file: File, method: Method, chat: Chat, bound: Bound) -> Rows:
    """Tokenise a file.

    Raises:
        UsageError: a row does not fit the model's context, or is of a form that cannot be trained here; or nothing is
            left.
    """
    columns = _sft if method == "sft" else _pair
    kept: list[dict[str, Any]] = []
    too_long = longest = tokens = learned = 0
    with progress(f"tokenising {file.path.name}", file.rows) as advance:
        for number, row in _lines(file):
            try:
                found, lengths, with_loss = columns(row, chat)
            except UsageError as error:
                raise UsageError(f"{file.path}:{number}: {error}") from None
            advance(1)
            if bound.chosen is not None and max(lengths) > bound.chosen:
                too_long += 1
                continue
            if bound.context is not None and max(lengths) > bound.context:
                raise UsageError(
                    f"{file.path}:{number}: the row has {max(lengths):,} tokens, but the model reads only "
                    f"{bound.context:,}; `--max-length {bound.context}` leaves such rows out"
                )
            kept.append(found)
            longest = max(longest, *lengths)
            tokens += sum(lengths)
            learned += with_loss
    if not kept:
        raise UsageError(f"{file.path}: no row has at most {bound.chosen:,} tokens; raise --max-length")
    return Rows(kept, too_long, longest, tokens, learned)


def _lines(file: File) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield number, json.loads(line)


_Columns = tuple[dict[str, Any], list[int], int]
"""A row's columns, the lengths of its sequences, and how many tokens have loss."""


def _sft(row: dict[str, Any], chat: Chat) -> _Columns:
    messages = row["messages"]
    _refuse_tools(row, messages)
    ids: list[int] = []
    labels: list[int] = []
    learned = 0
    for number, message in enumerate(messages):
        if message["role"] != "assistant" or not message.get("weight", 1):
            continue
        prompt, answer = chat.prompt(_plain(messages[:number])), chat.answer(message["content"])
        if prompt[: len(ids)] != ids:
            raise UsageError(
                "the model's chat template shows a past turn otherwise than it was answered, so a row can have one "
                "target only; build the dataset with --unit step"
            )
        labels += [_NO_LOSS] * (len(prompt) - len(ids)) + answer
        ids = prompt + answer
        learned += len(answer)
    if not learned:
        raise UsageError("no message is to be learned")
    columns = {"input_ids": ids, "labels": labels, "weight": float(row.get("weight", 1.0))}
    return columns, [len(ids)], learned


def _pair(row: dict[str, Any], chat: Chat) -> _Columns:
    _refuse_tools(row["input"], [*row["input"]["messages"], *row["preferred_output"], *row["non_preferred_output"]])
    if row.get("weight", 1.0) != 1.0:
        raise UsageError(f"the pair has weight {row['weight']:g}, but TRL's DPO counts every pair once")
    prompt = chat.prompt(_plain(row["input"]["messages"]))
    chosen = chat.answer(row["preferred_output"][0]["content"])
    rejected = chat.answer(row["non_preferred_output"][0]["content"])
    columns = {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
    return columns, [len(prompt) + len(chosen), len(prompt) + len(rejected)], len(chosen) + len(rejected)


def _refuse_tools(holder: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    if holder.get("tools") or any(message.get("tool_calls") or message["role"] == "tool" for message in messages):
        raise UsageError("tools and tool calls are not trained here; put actions into the text of messages")


def _plain(messages: list[dict[str, Any]]) -> list[Message]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]
