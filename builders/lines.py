"""The rows of a training file one by one, read more strictly than any trainer does."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

MAX_LINE_BYTES = 10 * 2**20
"""No model's context holds more text than this in one row."""


class Refused(Exception):
    """A line that is no row at all."""

    def __init__(self, rule: str, message: str, path: str = "") -> None:
        self.rule, self.message, self.path = rule, message, path


Read = tuple[int, dict[str, Any] | Refused]
"""The number of a line or row, from 1, and what it holds; 0 is the file as a whole."""


def read_lines(path: Path, progress: Callable[[int], None] | None) -> Iterator[Read]:
    """Each line's number and object, or why it is none."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            size = len(line)
            complete = line.endswith(b"\n")
            while not complete and size > MAX_LINE_BYTES and (rest := file.readline(MAX_LINE_BYTES)):
                size += len(rest)
                complete = rest.endswith(b"\n")
            if progress:
                progress(size)
            try:
                if size > MAX_LINE_BYTES + 1:
                    raise Refused("long-line", f"has {size} bytes, more than {MAX_LINE_BYTES}")
                yield number, _object(line, first=number == 1)
            except Refused as refused:
                yield number, refused


def _object(line: bytes, first: bool) -> dict[str, Any]:
    if first and line.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Refused("byte-order-mark", "starts with a byte order mark, but must be plain UTF-8")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Refused("not-utf-8", f"is not UTF-8 at byte {error.start + 1}") from None
    if not text.strip():
        raise Refused("blank-line", "is blank")
    try:
        value = _DECODER.decode(text)
        half = _half_pair(value, "") if _SURROGATE.search(line) else None
    except RecursionError:
        raise Refused("not-json", "is nested too deep") from None
    except ValueError as error:
        raise Refused("not-json", f"is not JSON: {error}") from None
    if half is not None:
        raise Refused("half-surrogate", "has half a surrogate pair, which is no text", half)
    if not isinstance(value, dict):
        raise Refused("not-object", f"is a {type(value).__name__}, but must be a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused("duplicate-key", f"has the key {twice!r} twice in one object", field_name(twice))
    return value


def _no_constant(word: str) -> NoReturn:
    raise Refused("not-finite", f"has {word}, which JSON does not know")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise Refused("not-finite", f"has {digits[:20]}, which is too large for a number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _half_pair(value: Any, path: str) -> str | None:
    """The path of the first string that cannot be encoded."""
    if isinstance(value, str):
        return None if value.isascii() or not re.search("[\ud800-\udfff]", value) else path
    items: Iterator[tuple[str, Any]] = iter(())
    if isinstance(value, dict):
        for key in value:
            if _half_pair(key, "") is not None:
                return path
        items = ((f"{path}.{field_name(key)}" if path else field_name(key), item) for key, item in value.items())
    if isinstance(value, list):
        items = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    return next((found for place, item in items if (found := _half_pair(item, place)) is not None), None)


def read_parquet(path: Path, progress: Callable[[int], None] | None) -> Iterator[Read]:
    """Each row of a Parquet file, numbered from 1; its share of the file's bytes is its progress."""
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:  # more threads read ahead without bound
        try:
            counted = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata($path)", {"path": str(path)})
            (total,) = counted.fetchone() or (0,)
            result = connection.execute("FROM read_parquet($path)", {"path": str(path)})
            names = [column[0] for column in result.description or ()]
            number = 0
            while rows := result.fetchmany(256):
                for values in rows:
                    number += 1
                    yield number, dict(zip(names, values, strict=True))
                if progress:
                    progress(path.stat().st_size * len(rows) // int(total))
        except duckdb.Error as error:
            yield 0, Refused("not-parquet", f"cannot be read as Parquet: {str(error).partition(chr(10))[0]}")


def field_name(key: str) -> str:
    """A key as it is shown in a path."""
    return key if key.isidentifier() else json.dumps(key)[:40]
