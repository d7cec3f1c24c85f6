"""A model's chat format as token ids: what a server would show it, and what it is to answer to that.

The prompt is the chat template's with its generation prompt, as every server renders it, and the answer follows it
directly; it is not rendered as a past turn, where some templates add or leave out text. Prompt and answer are tokenised
apart, because the prompt's tokens are fixed when a model begins to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol.actions import Message

_PROBE = '{"probe": "0123"}'


class Chat:
    """Turns messages into ids.

    Attributes:
        end: id of the token that ends an answer.
    """

    def __init__(self, tokenizer: Any, model: str) -> None:
        """Check that the format can be trained.

        Raises:
            UsageError: the model has no chat template, or one without a system message or without an end of turn.
        """
        if not tokenizer.chat_template:
            raise UsageError(
                f"{model} has no chat template, so nobody knows how messages are shown to it; take an instruct model, "
                "or put a chat_template.jinja into its folder"
            )
        self._tokenizer = tokenizer
        self._model = model
        self.end = self._end_of_turn()
        self._check_boundary()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """What a server shows the model to have these messages answered."""
        return self._ids(self._render(messages, add_generation_prompt=True))

    def answer(self, text: str) -> list[int]:
        """What the model has to say to answer so."""
        return [*self._ids(text), self.end]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except TemplateError as error:
            raise UsageError(f"the chat template of {self._model} refuses the messages: {error}") from None
        return text

    def _end_of_turn(self) -> int:
        """The first special token after an assistant's message."""
        past = self._render([*_QUESTION, {"role": "assistant", "content": _PROBE}], add_generation_prompt=False)
        after = self._ids(past.rpartition(_PROBE)[2])
        if not after or after[0] not in self._tokenizer.all_special_ids:
            raise UsageError(
                f"the chat template of {self._model} ends an assistant's message with no special token, so a model "
                "trained with it would never stop"
            )
        return after[0]

    def _check_boundary(self) -> None:
        """See that an answer's own tokens, put behind a prompt's, spell the answer and nothing else."""
        prompt = self._ids(self._render(_QUESTION, add_generation_prompt=True))
        both = self._tokenizer.decode([*prompt, *self._ids(_PROBE)], skip_special_tokens=False)
        if both != self._tokenizer.decode(prompt, skip_special_tokens=False) + _PROBE:
            raise UsageError(
                f"the tokenizer of {self._model} adds text at the start of an answer, which this training does not "
                "support; take a model with a byte-level tokenizer"
            )


_QUESTION: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
