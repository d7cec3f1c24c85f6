"""How an example is spelled for each trainer: one line of JSONL, or a Parquet file made of such lines.

Rows of one rollout share most of their messages, so each message is turned into JSON once and lines are joined from
the pieces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Literal, get_args

from builders.examples import Example, Pair, SftRow
from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.protocol.actions import Message

Kind = Literal["sft", "preference"]
Format = Literal["together", "openai", "trl", "sharegpt", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
KINDS: tuple[Kind, ...] = get_args(Kind)

_TRAJECTORY_FORMATS = ("together", "openai")
_SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}
_PARQUET_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "sft": ("prompt", "completion"),
    "preference": ("prompt", "chosen", "rejected"),
}
_ROW_GROUP = 2048  # rows held in memory at once, and read at once by a trainer


def line(example: Example, format: Format) -> bytes:
    """The example as one line of JSONL, with its newline; ``parquet`` files are made of TRL's lines.

    Raises:
        UsageError: the format has no place for a trajectory's masks, or the text cannot be written as UTF-8.
    """
    text = _sft_line(example, format) if isinstance(example, SftRow) else _pair_line(example, format)
    try:
        return text.encode()
    except UnicodeEncodeError:
        state = example.state
        raise UsageError(
            f"step {state.step} of rollout {state.rollout_id} has half a surrogate pair in its text, "
            "which no trainer can read: leave this rollout out"
        ) from None


def file_name(stem: str, format: Format) -> str:
    """``train.jsonl``, or ``train.parquet``."""
    return f"{stem}.{'parquet' if format == 'parquet' else 'jsonl'}"


def write_parquet(lines: Path, kind: Kind, output: Path) -> None:
    """Turn a file of TRL's lines into a Parquet file with the same rows in the same order.

    Raises:
        InfrastructureError: it cannot be written.
    """
    import duckdb

    message = "STRUCT(role VARCHAR, content VARCHAR)[]"
    columns = ", ".join(f"{name}: '{message}'" for name in _PARQUET_COLUMNS[kind])
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            connection.execute(
                f"COPY (FROM read_json($lines, format = 'newline_delimited', columns = {{{columns}}})) "
                f"TO $output (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})",
                {"lines": str(lines), "output": str(output)},
            )
        except duckdb.IOException as error:
            raise InfrastructureError(f"{output}: cannot be written ({str(error).partition(chr(10))[0]})") from None


def notes(format: Format, kind: Kind) -> tuple[str, ...]:
    """What a file of this format cannot carry, and what a trainer must be told instead; for the dataset card."""
    if format == "together":
        told = ["Row weights are in the file; Together's own clients before 3.0 refuse that column."]
        if kind == "sft":
            told.append("Reasoning models learn only the last assistant message by default: train them on step rows.")
        return tuple(told)
    told = [f"Row weights are not in the file: {_READERS[format]} counts every row once."]
    if format in ("trl", "parquet"):
        told.append("Set max_length=None: with its default of 1024 tokens TRL drops longer prompts and cuts answers.")
    if format == "sharegpt":
        columns = {"messages": "conversations"}
        if kind == "sft":
            told.append(
                "Masks are not in the file: set mask_history: true, or the earlier assistant turns are trained too; "
                "it does not apply to evaluation rows."
            )
        else:
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        told.append("Set cutoff_len to the longest row: longer rows lose the end of prompt and answer.")
        entry = {"file_name": "train.jsonl", "formatting": "sharegpt", "ranking": kind == "preference"}
        told.append(f"Entry of dataset_info.json: {json.dumps({**entry, 'columns': columns})}")
    return tuple(told)


_READERS: dict[Format, str] = {
    "together": "Together",
    "openai": "OpenAI",
    "trl": "TRL",
    "sharegpt": "LLaMA-Factory",
    "parquet": "TRL",
}


def _sft_line(row: SftRow, format: Format) -> str:
    if row.trained and format not in _TRAJECTORY_FORMATS:
        raise UsageError(
            f"{format} has no masks for the turns of a trajectory: use --unit step, or one of the formats "
            f"{', '.join(_TRAJECTORY_FORMATS)}"
        )
    history = row.state.messages
    if format in _TRAJECTORY_FORMATS:
        if row.trained:
            turns = ",".join([_WEIGHS[format](message, weight) for message, weight in row.weighted()])
        else:
            turns = f"{_MASKED[format].text(history)},{_weighted('assistant', row.target, 1)}"
        weight = f',"weight":{_number(row.weight)}' if format == "together" else ""
        return f'{{"messages":[{turns}]{weight}}}\n'
    if format == "sharegpt":
        return f'{{"conversations":[{_TURNS.text(history)},{_turn("assistant", row.target)}]}}\n'
    return f'{{"prompt":[{_CHATS.text(history)}],"completion":[{_chat("assistant", row.target)}]}}\n'


def _pair_line(pair: Pair, format: Format) -> str:
    history = pair.state.messages
    if format == "sharegpt":
        good, bad = _turn("assistant", pair.preferred), _turn("assistant", pair.rejected)
        return f'{{"conversations":[{_TURNS.text(history)}],"chosen":{good},"rejected":{bad}}}\n'
    good, bad = _chat("assistant", pair.preferred), _chat("assistant", pair.rejected)
    if format in ("trl", "parquet"):
        return f'{{"prompt":[{_CHATS.text(history)}],"chosen":[{good}],"rejected":[{bad}]}}\n'
    weight = f',"weight":{_number(pair.weight)}' if format == "together" else ""
    question = f'"input":{{"messages":[{_CHATS.text(history)}]}}'
    return f'{{{question},"preferred_output":[{good}],"non_preferred_output":[{bad}]{weight}}}\n'


class _Prompts:
    """Spells prompts; the beginning that one shares with the prompt before it is not spelled again."""

    def __init__(self, spell: Callable[[Message], str]) -> None:
        self._spell = spell
        self._messages: tuple[Message, ...] = ()
        self._text = ""

    def text(self, messages: tuple[Message, ...]) -> str:
        """The messages as elements of a JSON array."""
        shared = len(self._messages)
        if messages[:shared] != self._messages:
            shared, self._text = 0, ""
        new = [self._spell(message) for message in messages[shared:]]
        self._text = ",".join([self._text, *new] if shared else new)
        self._messages = messages
        return self._text


@lru_cache(maxsize=512)
def spelled(text: str) -> str:
    """A string as JSON spells it everywhere in this project; those of late are remembered."""
    return encode_basestring(text)


def _chat(role: str, content: str) -> str:
    return f'{{"role":"{role}","content":{spelled(content)}}}'


def _weighted(role: str, content: str, weight: int) -> str:
    return f'{{"role":"{role}","content":{spelled(content)},"weight":{weight}}}'


def _turn(role: str, content: str) -> str:
    return f'{{"from":"{_SHAREGPT_ROLES[role]}","value":{spelled(content)}}}'


@lru_cache(maxsize=512)
def _number(weight: float) -> str:
    return json.dumps(weight, allow_nan=False)


def _openai(message: Message, weight: int) -> str:
    role, content = message["role"], message["content"]
    return _weighted(role, content, weight) if role == "assistant" else _chat(role, content)


_WEIGHS: dict[Format, Callable[[Message, int], str]] = {
    "together": lambda message, weight: _weighted(message["role"], message["content"], weight),
    "openai": _openai,
}
_MASKED: dict[Format, _Prompts] = {
    "together": _Prompts(lambda message: _WEIGHS["together"](message, 0)),
    "openai": _Prompts(lambda message: _openai(message, 0)),
}
_CHATS = _Prompts(lambda message: _chat(message["role"], message["content"]))
_TURNS = _Prompts(lambda message: _turn(message["role"], message["content"]))
