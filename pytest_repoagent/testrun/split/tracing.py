"""Tracebacks across: the frames of one process as facts, and frames made from such facts in the other.

A frame's facts are ``[path, name, first line, [line, end line, column, end column], twin]``. The made frames have the
names, lines and columns of the real ones, so that pytest shows what it would show with everything in one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import Any

OWN_FOLDER = __file__.rpartition("/")[0] + "/"
INSIDE = "\0"
MAX_FRAMES = 20
_TEXT_CHARS = 500
_HIDE = "__tracebackhide__"


def facts(error: BaseException, work: str) -> list[Any]:
    """The frames of an exception's traceback without hidden ones; the ends only where there are many.

    Of a RecursionError, the frames up to the first that has a twin: the same place with the same variables. Both have
    one number as ``twin``; every other frame has a number of its own.
    """
    entries = [entry for entry in _walk(error.__traceback__) if not _is_hidden(entry)]
    twins = list(range(len(entries)))
    if isinstance(error, RecursionError):
        entries, twins = _until_twin(entries, twins)
    told = [_facts(entry, twin, work) for entry, twin in zip(entries, twins, strict=False)]
    return told if len(told) <= MAX_FRAMES else told[: MAX_FRAMES // 2] + told[-MAX_FRAMES // 2 :]


def joined(first: TracebackType | None, second: TracebackType | None) -> TracebackType | None:
    """One traceback of two."""
    for entry in reversed(list(_walk(first))):
        second = TracebackType(second, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return second


def _walk(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry:
        yield entry
        entry = entry.tb_next


def _is_hidden(entry: TracebackType) -> bool:
    code = entry.tb_frame.f_code
    hides = _HIDE in code.co_varnames and bool(entry.tb_frame.f_locals.get(_HIDE))
    return hides or code.co_filename.startswith(OWN_FOLDER)


def _until_twin(entries: list[TracebackType], twins: list[int]) -> tuple[list[TracebackType], list[int]]:
    """As pytest tells that a recursion came back to where it was."""
    seen: dict[Any, list[tuple[int, Any]]] = {}
    for number, entry in enumerate(entries):
        variables = dict(entry.tb_frame.f_locals)
        before = seen.setdefault((entry.tb_frame.f_code, entry.tb_lineno), [])
        for other, others in before:
            try:
                same = bool(others == variables)
            except Exception:
                return entries, twins
            if same:
                twins[number] = other
                return entries[: number + 1], twins
        before.append((number, variables))
    return entries, twins


def _facts(entry: TracebackType, twin: int, work: str) -> list[Any]:
    code = entry.tb_frame.f_code
    path = code.co_filename
    path = INSIDE + path[len(work) + 1 :] if path.startswith(work + "/") else path[:_TEXT_CHARS]
    position = next(islice(code.co_positions(), entry.tb_lasti // 2, None), (None,) * 4)
    return [path, code.co_name[:_TEXT_CHARS], code.co_firstlineno, [entry.tb_lineno, *position[1:]], twin]
