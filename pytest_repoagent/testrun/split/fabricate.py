"""Makes tracebacks from the facts that the worker sends; only for the judge, which believes none of it.

Source text shown beside a frame comes from the candidate's files as the judge knows them, or from the library folders.
"""

from __future__ import annotations

import ast
import io
import linecache
import sys
import sysconfig
import tokenize
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from pytest_repoagent.testrun.split.plain import Malformed, text
from pytest_repoagent.testrun.split.tracing import INSIDE

__tracebackhide__ = True
_LIBRARIES = tuple(f"{folder}/" for folder in {*sysconfig.get_paths().values()} if folder)
_MAX_NUMBER = 1 << 24
_NAME_CHARS = 500


class Tracebacks:
    """Makes tracebacks whose frames show the program's text.

    Attributes:
        program: path relative to ``work`` -> text.
    """

    def __init__(self, work: str, program: Mapping[str, str]) -> None:
        self.program = program
        self._work = work

    def __call__(self, frames: Any) -> TracebackType | None:
        """A traceback with the given frames, outermost first.

        Raises:
            Malformed: these are no frames. Other exceptions mean the same.
        """
        made: TracebackType | None = None
        for path, name, first, position, twin in reversed(frames):
            filename = self._filename(_on_one_line(path))
            line, *columns = position
            where = tuple(map(_number_or_none, columns))
            code = _code(filename, _on_one_line(name), _number(first), _number(line), where)
            frame, instruction = _run(code, _number(twin))
            made = TracebackType(made, frame, instruction, line)
        return made

    def _filename(self, path: str) -> str:
        if path.startswith(INSIDE):
            relative = path[len(INSIDE) :]
            filename = f"{self._work}/{relative}"
            if relative in self.program:
                lines = _lines(self.program[relative])
                linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
                return filename
            return f"<{relative}>"
        if path.startswith(_LIBRARIES) and "/../" not in path and path.endswith(".py"):
            return path
        return path if path.startswith("<") and path.endswith(">") and "/" not in path else f"<{path}>"


def _lines(source: str) -> list[str]:
    """The lines as Python reads them from a file; none where it could not."""
    data = source.encode("utf-8", "surrogatepass")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        lines = io.TextIOWrapper(io.BytesIO(data), encoding).readlines()
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return []
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


@lru_cache(maxsize=1000)
def _code(filename: str, name: str, first: int, line: int, where: tuple[int | None, ...]) -> CodeType:
    """Code with one call in it, at the given place."""
    end_line, column, end_column = where
    if end_line is None or column is None or end_column is None:
        # pytest marks no columns of what ends on another line.
        end_line, column, end_column = line + 1, 0, 0
    tree = ast.parse("def made(twin): return here()")
    for node in ast.walk(tree):
        place = (line, end_line, column, end_column) if isinstance(node, ast.Call | ast.Name) else (first, first, 0, 0)
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = place
    module = compile(tree, filename, "exec")
    (code,) = (constant for constant in module.co_consts if isinstance(constant, CodeType))
    return code.replace(co_name=name, co_qualname=name)


def _run(code: CodeType, twin: int) -> tuple[FrameType, int]:
    function = FunctionType(code, {"here": _here})
    made: tuple[FrameType, int] = function(twin)
    return made


def _here() -> tuple[FrameType, int]:
    frame = sys._getframe(1)
    return frame, frame.f_lasti


def _on_one_line(value: Any) -> str:
    """The text, without what would make it look like something else than a part of a line."""
    return "".join(char for char in text(value)[:_NAME_CHARS] if char.isprintable() or char == INSIDE)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBER:
        raise Malformed
    return value


def _number_or_none(value: Any) -> int | None:
    return None if value is None else _number(value)
