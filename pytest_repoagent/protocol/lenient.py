"""A JSON reader that reads on where small models go wrong, and names every fault it met.

With no fault met, what was read is RFC 8259 JSON, within limits that section 9 of it allows: numbers must be
finite doubles, nesting is at most 64 deep, and strings are Unicode scalar values (no half surrogate pairs), so
that every value read can be written again. The reader keeps its own stack, never recurses and never looks back:
time is linear in the text, whatever the text.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
WHITESPACE = " \t\n\r"

_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[-+.\w]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
_HIGH, _LOW = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE_SOURCE = rf'\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{{4}}|u{_HIGH}\\u{_LOW})'
_ESCAPE = re.compile(_ESCAPE_SOURCE)
_PLAIN = r"\\\x00-\x1f\ud800-\udfff"
_STRING = re.compile(rf'"(?:[^"{_PLAIN}]++|{_ESCAPE_SOURCE})*+"')
_CHUNK = {quote: re.compile(f"[^{quote}{_PLAIN}]*") for quote in "\"'"}
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")
_LITERALS = {"true": True, "false": False, "null": None}
_PYTHON_LITERALS = {"True": True, "False": False, "None": None}


class BrokenJsonError(Exception):
    """No fault the reader can read past.

    Attributes:
        pos: where in the text; its length where the text ended too early.
    """

    def __init__(self, pos: int) -> None:
        self.pos = pos


class Reader:
    """Reads JSON values out of one text.

    Attributes:
        faults: code -> JSON path of its first occurrence, for all values read so far.
    """

    def __init__(self, text: str) -> None:
        self.faults: dict[str, str] = {}
        self._text = text
        self._open: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str] = []

    def read(self, pos: int) -> tuple[Any, int]:
        """The value that begins at ``pos`` and the position after it.

        Raises:
            BrokenJsonError: it cannot be read, whatever one is willing to overlook.
        """
        self._open, self._keys = [], []
        text, stack = self._text, self._open
        while True:
            pos = self._skip(pos)
            opener = text[pos : pos + 1]
            if opener in ("{", "["):
                if len(stack) == MAX_DEPTH:
                    raise BrokenJsonError(pos)
                container: dict[str, Any] | list[Any] = {} if opener == "{" else []
                pos = self._skip(pos + 1)
                if text[pos : pos + 1] != _closer(container):
                    stack.append(container)
                    pos = self._key(pos)
                    continue
                value: Any = container
                pos += 1
            else:
                value, pos = self._scalar(pos)
            pos, closed = self._attach(value, pos)
            if not stack:
                return closed, pos

    def _attach(self, value: Any, pos: int) -> tuple[int, Any]:
        """Put a finished value into its container, and close every container that ends here."""
        text, stack = self._text, self._open
        while stack:
            container = stack[-1]
            if isinstance(container, dict):
                if self._keys[-1] in container:
                    self._fault("duplicate_key")
                container[self._keys.pop()] = value
            else:
                container.append(value)
            pos = self._skip(pos)
            if text[pos : pos + 1] == ",":
                pos = self._skip(pos + 1)
                if text[pos : pos + 1] != _closer(container):
                    return self._key(pos), None
                self._fault("trailing_comma")
            if text[pos : pos + 1] != _closer(container):
                raise BrokenJsonError(pos)
            value = stack.pop()
            pos += 1
        return pos, value

    def _key(self, pos: int) -> int:
        """In an object, read the next key and its colon; in a list there is none."""
        if isinstance(self._open[-1], list):
            return pos
        if self._text[pos : pos + 1] not in ('"', "'"):
            raise BrokenJsonError(pos)
        key, pos = self._string(pos)
        pos = self._skip(pos)
        if self._text[pos : pos + 1] != ":":
            raise BrokenJsonError(pos)
        self._keys.append(key)
        return pos + 1

    def _scalar(self, pos: int) -> tuple[Any, int]:
        if self._text[pos : pos + 1] in ('"', "'"):
            return self._string(pos)
        match = _WORD.match(self._text, pos)
        if match is None:
            raise BrokenJsonError(pos)
        word, end = match[0], match.end()
        if word in _LITERALS:
            return _LITERALS[word], end
        if word in _PYTHON_LITERALS:
            self._fault("python_literal")
            return _PYTHON_LITERALS[word], end
        number = _NUMBER.fullmatch(word)
        if number is not None and math.isfinite(float(word)):
            return (float(word) if number[1] else int(word)), end
        raise BrokenJsonError(end if number is None and end == len(self._text) else pos)

    def _string(self, pos: int) -> tuple[str, int]:
        text, quote = self._text, self._text[pos]
        if text.startswith(quote * 3, pos):
            self._fault("triple_quoted")
            end = text.find(quote * 3, pos + 3)
            if end < 0:
                raise BrokenJsonError(len(text))
            return text[pos + 3 : end], end + 3
        match = _STRING.match(text, pos)
        if match is not None:
            literal = match[0]
            return (json.loads(literal) if "\\" in literal else literal[1:-1]), match.end()
        if quote == "'":
            self._fault("python_literal")
        return self._faulty_string(pos + 1, quote)

    def _faulty_string(self, pos: int, quote: str) -> tuple[str, int]:
        text, parts = self._text, []
        while True:
            match = _CHUNK[quote].match(text, pos)
            assert match is not None
            parts.append(match[0])
            pos = match.end()
            char = text[pos : pos + 1]
            if char == quote:
                return "".join(parts), pos + 1
            if not char or "\ud800" <= char <= "\udfff":
                raise BrokenJsonError(pos)
            if char == "\\":
                part, pos = self._escape(pos, quote)
                parts.append(part)
            else:
                self._fault("control_char")
                parts.append(char)
                pos += 1

    def _escape(self, pos: int, quote: str) -> tuple[str, int]:
        """What a backslash means: JSON's escapes, Python's in single quotes, else itself."""
        text = self._text
        match = _ESCAPE.match(text, pos)
        if match is not None:
            return json.loads(f'"{match[0]}"'), match.end()
        python = quote == "'"
        if not python:
            self._fault("bad_escape")
        elif (match := _HEX.match(text, pos)) is not None:
            return chr(int(match[1], 16)), match.end()
        return ("'", pos + 2) if text.startswith("\\'", pos) else ("\\", pos + 1)

    def _skip(self, pos: int) -> int:
        match = _SPACE.match(self._text, pos)
        assert match is not None
        return match.end()

    def _fault(self, code: str) -> None:
        if code in self.faults:
            return
        path, keys = "$", iter(self._keys)
        for container in self._open:
            if isinstance(container, list):
                path += f"[{len(container)}]"
            elif (key := next(keys, None)) is not None:
                path += f".{as_word(key)}"
        self.faults[code] = path


def read_exactly(text: str) -> Any:
    """The value of a text that is one faultless JSON value and whitespace.

    Raises:
        BrokenJsonError: it is not.
    """
    reader = Reader(text)
    value, end = reader.read(0)
    if reader.faults or text[end:].strip(WHITESPACE):
        raise BrokenJsonError(end)
    return value


def as_word(name: str) -> str:
    """A name out of a model's reply, fit for a code or a JSON path: one short word."""
    return re.sub(r"[^\w.$-]", "_", name[:40]) or "_"


def _closer(container: dict[str, Any] | list[Any]) -> str:
    return "}" if isinstance(container, dict) else "]"
