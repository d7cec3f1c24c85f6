"""Is one program in another text? Two answers that renaming, comments and reformatting do not fool.

*Containment*: the share of a program's 5-grams of words (names, keywords, numbers) that are in the text. Programs of
this kind have 20 to 100 words, so that MinHash at its usual Jaccard threshold of 0.7 misses one-line variants, and what
surrounds a copy lowers Jaccard but not containment. The buggy and the corrected version of a program share at least 60%
of their 5-grams in QuixBugs and minibugs, programs of different families less than 6%.

*Structure*: a function of the program equals one of the text after docstrings are dropped and names are numbered in
order of appearance; built-in names stay.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import string
import warnings
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any, NamedTuple

THRESHOLD = 0.5
"""Containment from which a text counts as showing a program."""
MIN_NODES = 30
"""Smaller functions say nothing: getters and constructors look alike."""

_COMMENT = re.compile(r'"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|#[^\n]*')
_PUNCTUATION = {ord(character): " " for character in string.punctuation if character != "_"}
_BUILTINS = frozenset(dir(builtins))
_KEYWORDS = frozenset(keyword.kwlist)

_NAMED = {"id", "name", "arg"}
_LEFT_OUT = {"decorator_list", "ctx", "annotation", "returns", "type_comment", "type_params"}


class Match(NamedTuple):
    """A program found in a text: its name, and how."""

    name: str
    how: str


class Programs:
    """Programs to look for."""

    def __init__(self, programs: Iterable[tuple[str, str]]) -> None:
        """Take names and texts; several texts may have one name."""
        programs = list(programs)
        self._grams = [(name, grams) for name, text in programs if (grams := frozenset(_grams(words(text))))]
        self._any = frozenset(gram for _, grams in self._grams for gram in grams)
        self._fewest = min((THRESHOLD * len(grams) for _, grams in self._grams), default=0.0)
        self._functions: dict[str, str] = {}
        screens: set[str] = set()
        for name, text in programs:
            for function in functions(text):
                self._functions.setdefault(structure(function), name)
                screens.add(_keywords(words(ast.unparse(function))))
        self._screens = [screen for screen in screens if not any(other in screen for other in screens - {screen})]
        # n 5-grams are n + 4 words with a space between each; a function has at most about two nodes a character
        self._shortest = min(2 * (ceil(self._fewest) + 4) - 1, MIN_NODES // 2)

    def match(self, text: str) -> Match | None:
        """The program that a text, such as a message with a file, shows; None where it shows none."""
        if len(text) < self._shortest:
            return None
        found = words(text)
        shared = self._any.intersection(_grams(found))
        if shared and len(shared) >= self._fewest:
            share, name = max((len(shared & grams) / len(grams), name) for name, grams in self._grams)
            if share >= THRESHOLD:
                return Match(name, f"{share:.0%} of its 5-grams of words")
        keywords = _keywords(found) if "def" in found else ""
        if any(screen in keywords for screen in self._screens):
            for block in (text, *_blocks(text)):
                for function in functions(block):
                    if name := self._functions.get(structure(function), ""):
                        return Match(name, "a function of the same structure")
        return None


def words(text: str) -> list[str]:
    """Names, keywords and numbers in order, without comments and docstrings; of any text."""
    if "#" in text or '"""' in text or "'''" in text:
        text = _COMMENT.sub(" ", text)
    return text.translate(_PUNCTUATION).split()


def functions(text: str) -> list[ast.AST]:
    """The top-level functions and methods of a program that are large enough to tell; none where it does not parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    found = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node for node in found if sum(1 for _ in ast.walk(node)) >= MIN_NODES]


def _blocks(text: str) -> Iterator[str]:
    """Each function's definition with the lines that are its by their indentation, wherever in a text it stands."""
    lines = [_HIT.sub("", line) for line in text.expandtabs().splitlines()]
    for first, line in enumerate(lines):
        if not (start := _DEFINES.match(line)):
            continue
        indent = len(start[1])
        block = [line[indent:]]
        for more in lines[first + 1 :]:
            inner = more[:indent].isspace() or not more[:indent]
            if more.strip() and not (inner and more[indent : indent + 1] in _GO_ON):
                break
            block.append(more[indent:])
        yield "\n".join(block)


_DEFINES = re.compile(r"( *)(?:async +)?def ")
_HIT = re.compile(r"^[^:\s]+:\d+:")
_GO_ON = (" ", ")")  # what a function's further lines begin with; a signature over several lines ends in a bracket


def structure(function: ast.AST) -> str:
    """A function without docstrings and annotations, its names numbered; equal for renamed and reformatted copies."""
    numbers: dict[str, int] = {}
    return _spell(function, numbers)


def _spell(value: Any, numbers: dict[str, int]) -> str:
    if isinstance(value, ast.AST):
        fields = [
            _name(part, numbers) if field in _NAMED and isinstance(part, str) else _spell(part, numbers)
            for field, part in ast.iter_fields(value)
            if field not in _LEFT_OUT
        ]
        return f"{type(value).__name__}({','.join(fields)})"
    if isinstance(value, list):
        return f"[{','.join(_spell(part, numbers) for part in value if not _is_docstring(part))}]"
    return repr(value)


def _name(name: str, numbers: dict[str, int]) -> str:
    return name if name in _BUILTINS else str(numbers.setdefault(name, len(numbers)))


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _grams(found: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(found, found[1:], found[2:], found[3:], found[4:], strict=False)


def _keywords(found: list[str]) -> str:
    """The keywords among words: a text with a copy of a function in it has the function's, uninterrupted."""
    return " ".join(filter(_KEYWORDS.__contains__, found))
