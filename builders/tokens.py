"""How many tokens a text is: by the tokenizer of the model to be trained where its file is given, else about."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol.actions import Message

CHARS_PER_TOKEN = 3.5
"""Measured with Qwen2.5's vocabulary: 3.9 on the system prompt, 3.7 on tool results, 3.4 on actions."""
PER_MESSAGE = 5
"""Tokens a chat template puts around a message; ChatML's ``<|im_start|>role\\n`` and ``<|im_end|>\\n``."""


class TokenCounter:
    """Counts tokens; ``name`` says how, and ``text(text)`` counts those of a text."""

    def __init__(self, tokenizer: Path | None = None) -> None:
        """Load a ``tokenizer.json`` of Hugging Face's ``tokenizers``, or of a model's folder.

        Raises:
            UsageError: it cannot be loaded.
        """
        how = f"approximation: characters / {CHARS_PER_TOKEN}" if tokenizer is None else str(tokenizer)
        self.name = f"{how}, and {PER_MESSAGE} a message"
        self.text = _about if tokenizer is None else lru_cache(maxsize=4096)(_load(tokenizer))
        self._messages: tuple[Message, ...] = ()
        self._tokens = 0

    def messages(self, messages: tuple[Message, ...]) -> int:
        """Tokens of a prompt, the chat template's included; the beginning that it shares with the last one is known."""
        known = len(self._messages)
        if messages[:known] != self._messages:
            known, self._tokens = 0, 0
        new = messages[known:]
        self._tokens += sum([self.text(message["content"]) for message in new]) + PER_MESSAGE * len(new)
        self._messages = messages
        return self._tokens


def _about(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)


def _load(path: Path) -> Callable[[str], int]:
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UsageError(
            "--tokenizer needs the package tokenizers: install it, or leave the option out for an approximation"
        ) from None
    if not file.is_file():
        raise UsageError(f"--tokenizer: there is no file {file}; give a tokenizer.json or a folder with one")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises nothing narrower
        raise UsageError(f"--tokenizer: {file} is no tokenizer.json: {error}") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
