"""Copies of training conversations in other words, so that a small model must read a name instead of knowing it.

Twenty-eight programs are so few that a model learns them by heart, and then writes their names and lines whatever it is
shown. In a copy every word that belongs to few of the programs is another one, and some of the program's lines
are there in another order, the same throughout the conversation.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

COMMON = 0.25
"""A word that is in a larger share of the programs' conversations belongs to the protocol, or to everybody."""
KNOWN = 0.7
"""Share of the words that are put in place of others and are words themselves."""
_PYTHON = {*keyword.kwlist, *dir(builtins)}
_WORD = re.compile(r"\\.|[A-Za-z]{2,}")
_PROGRAM = re.compile(r"\w+(?=\.py)")


def reword(rows: Path, output: Path, copies: int, seed: int) -> list[list[str]]:
    """Write ``copies`` copies of each row of a Together file, in random order; returns each one's texts."""
    random = Random(seed)
    originals = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    own = _own_words(originals)
    made = [_copy(row, own, random) for row in originals for _ in range(copies)]
    random.shuffle(made)
    with output.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in made)
    return [[message["content"] for message in row["messages"]] for row in made]


def _own_words(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Words of few programs."""
    words: dict[str, set[str]] = {}
    for row in rows:
        _, goal, *rest = (message["content"] for message in row["messages"])
        program = min(_PROGRAM.findall(goal), key=len)
        words.setdefault(program, set()).update(_WORD.findall("\n".join([goal, *rest])))
    tasks = Counter(word for found in words.values() for word in found)
    return sorted(
        word for word, n in tasks.items() if word.isalpha() and n <= COMMON * len(words) and word not in _PYTHON
    )


def _copy(row: dict[str, Any], own: Sequence[str], random: Random) -> dict[str, Any]:
    names = dict.fromkeys(own, "")

    def other(found: re.Match[str]) -> str:
        word = found.group()
        if word not in names:
            return word
        if not names[word]:
            names[word] = _cased(word)(_another(own, random))
        return names[word]

    order = random.random()
    system, *said = row["messages"]
    messages = [system]
    for message in said:
        text = _in_order(message, messages[-1], order)
        messages.append({**message, "content": _WORD.sub(other, text)})
    return {**row, "messages": messages}


def _in_order(message: dict[str, Any], before: dict[str, Any], order: float) -> str:
    """A message's text with the lines of a program, read or written, in another order."""
    text: str = message["content"]
    if message["role"] == "assistant":
        action = json.loads(text)
        if action.get("name") == "write_file":
            action["args"]["content"] = _mixed(action["args"]["content"], order)
        return json.dumps(action, ensure_ascii=False, separators=(",", ":"))
    if '"name":"read_file"' in before["content"]:
        head, _, program = text.partition("\n")
        return f"{head}\n{_mixed(program, order)}"
    return text


def _mixed(program: str, order: float) -> str:
    """Some or all of the lines: a short file is easier to copy."""
    random = Random(order)
    lines = program.splitlines()
    random.shuffle(lines)
    return "\n".join([*lines[: max(1, round(len(lines) * random.random() ** 1.5))], ""])


def _another(own: Sequence[str], random: Random) -> str:
    """One of the words, or the beginning of one and the end of another."""
    first, last = random.choice(own), random.choice(own)
    return first if random.random() < KNOWN else first[: random.randint(1, 4)] + last[-random.randint(1, 4) :]


def _cased(word: str) -> Callable[[str], str]:
    return str.upper if word.isupper() else str.capitalize if word[0].isupper() else str.lower
