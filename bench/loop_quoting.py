"""What the demo's base model learns before any protocol: to quote what it was shown.

A model of a million random parameters does not learn to copy from some hundred rollouts, and what cannot copy a path
cannot read the file that it names. So it first sees conversations in which each text is answered by the same text with
a JSON string's escapes: first of random tokens, then of a program's lines in random order and in other words. Some
tokens of the answers are spoiled, so that it finds back from its own mistakes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import chain

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

RATE = 8e-3
STEP_TOKENS = 2560
HEADING = "[tool_result]\n"
"""Stands over what a tool shows; not quoted."""
IGNORED = -100


def learn(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], steps: int, seed: int
) -> None:
    """Train on quotations.

    Args:
        model: to train, in place.
        tokenizer: in which a newline and a quote are tokens of their own.
        texts: whose lines are quoted.
        steps: of about ``STEP_TOKENS`` tokens each; the first two fifths are of random tokens.
        seed: of everything that is drawn.
    """
    quotations = Quotations(tokenizer, texts, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        rows: list[list[tuple[int, int]]] = []
        while sum(map(len, rows)) < STEP_TOKENS:
            rows.append(quotations.conversation(random_tokens=step < steps * 2 // 5))
        longest = max(map(len, rows))
        batch = torch.tensor([row + [(tokenizer.pad_token_id, IGNORED)] * (longest - len(row)) for row in rows])
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 30, 1.02 - step / steps)
        optimizer.zero_grad()
        model(input_ids=batch[:, :, 0], labels=batch[:, :, 1]).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


class Quotations:
    """Conversations of random texts and their quotations, as tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], seed: int) -> None:
        """Cut the texts into lines; the other arguments are those of :func:`learn`."""

        def encode(text: str) -> list[int]:
            return list(tokenizer(text, add_special_tokens=False)["input_ids"])

        self._draw = random.Random(seed)
        self._heading = encode(HEADING)
        self._user, self._assistant = encode("<|user|><|assistant|>")
        self._end = tokenizer.eos_token_id
        self._escapes = {encode(text)[0]: encode(json.dumps(text)[1:-1]) for text in '\n"'}
        self._texts = [[encode(f"{line}\n") for line in text.removeprefix(HEADING).split("\n")] for text in texts]
        self._lines = [line for text in self._texts for line in text]
        fixed = {*tokenizer.all_special_ids, *self._escapes, *chain(*self._escapes.values())}
        self._tokens = [token for token in range(tokenizer.vocab_size) if token not in fixed]
        self._words = {token for token in self._tokens if tokenizer.decode([token]).strip().isalpha()}

    def conversation(self, random_tokens: bool) -> list[tuple[int, int]]:
        """A few messages without a meaning, then a text and one or two quotations of it.

        Returns:
            Each token and what should stand there, or ``IGNORED`` where nobody could know.
        """
        row: list[tuple[int, int]] = []

        def say(who: int, said: list[int], right: list[int] | None = None) -> None:
            labels = [IGNORED] * (len(said) + 1) if right is None else [*right, self._end]
            row.extend([(who, IGNORED), *zip([*said, self._end], labels, strict=True)])

        for _ in range(self._draw.choice((0, 1, 2))):
            say(self._user, self._remark())
            say(self._assistant, self._remark())
        text = self._phrases() if random_tokens else self._program()
        quotation = [part for token in text for part in self._escapes.get(token, [token])]
        say(self._user, self._heading + text)
        say(self._assistant, quotation if random_tokens else self._spoiled(quotation), quotation)
        if not random_tokens and self._draw.random() < 1 / 3:
            say(self._user, self._remark())
            say(self._assistant, self._spoiled(quotation), quotation)
        return row

    def _remark(self) -> list[int]:
        if self._draw.random() < 0.5:
            return self._draw.choice(self._lines)
        return self._draw.choices(self._tokens, k=self._draw.randint(1, 30))

    def _phrases(self) -> list[int]:
        """Phrases that come again and again: only a longer context tells how it goes on."""
        pool = self._draw.choices(self._tokens, k=16 << self._draw.randint(0, 5))
        text: list[int] = []
        length = self._draw.randint(8, 100)
        while len(text) < length:
            start = self._draw.randrange(len(pool))
            text += pool[start : start + self._draw.randint(1, 8)]
        return text

    def _program(self) -> list[int]:
        """A text, or lines of several, some of them twice; none, some or all of the words are others.

        Those are short runs of a few tokens, as words are that no tokenizer was made for, and as alike.
        """
        lines = list(self._draw.choice(self._texts))
        if self._draw.random() < 0.5:
            lines = self._draw.choices(self._lines, k=self._draw.randint(3, 30))
        if self._draw.random() < 0.3:
            lines += self._draw.choices(lines, k=3)
        share = self._draw.choice((0.0, 0.3, 1.0))
        few = self._draw.choices(self._tokens, k=8 << self._draw.randint(0, 5))
        others = {
            word: self._draw.choices(few, k=self._draw.randint(1, 4))
            for word in self._words
            if self._draw.random() < share
        }
        return [token for line in lines for word in line for token in others.get(word, [word])][:500]

    def _spoiled(self, quotation: list[int]) -> list[int]:
        """Some tokens are others, mostly some of the same text."""
        share = self._draw.choice((0.0, 0.0, 0.015, 0.015, 0.05))
        spoiled = list(quotation)
        for at in range(len(spoiled)):
            if self._draw.random() < share:
                spoiled[at] = self._draw.choice(quotation if self._draw.random() < 0.7 else self._tokens)
        return spoiled
