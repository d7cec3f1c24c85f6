"""The candidate's process: imports the program and serves the judge's questions about it."""

from __future__ import annotations

import errno
import io
import os
import resource
import socket
import sys
from collections.abc import Callable, Container, Sequence
from typing import Any, NoReturn

from pytest_repoagent.testrun.split import signatures
from pytest_repoagent.testrun.split.faults import Faults
from pytest_repoagent.testrun.split.graph import Heap
from pytest_repoagent.testrun.split.peer import Channel, Peer, called
from pytest_repoagent.testrun.split.recorder import record_all
from pytest_repoagent.testrun.split.standins import StandIns

_PRINT_CHARS = 1 << 20
_NO_INPUT = "pytest: reading from stdin while output is captured! Consider using `-s`."


class _Everything:
    def __contains__(self, number: object) -> bool:
        return True


class _Output(io.BytesIO):
    """What was printed and not yet told; no more than a file could hold."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = resource.RLIM_INFINITY

    def write(self, data: Any) -> int:
        if self.limit != resource.RLIM_INFINITY and self.tell() + len(data) > self.limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return super().write(data)

    def close(self) -> None:
        pass

    def take(self) -> str:
        """What is new."""
        data = self.getvalue()
        if not data:
            return ""
        self.seek(0)
        self.truncate()
        return data.decode("utf-8", "replace")


class _NoInput(io.TextIOBase):
    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> NoReturn:
        raise OSError(_NO_INPUT)

    readline = readlines = __next__ = read


class Worker(Peer):
    """Serves one judge, in the process that made it or in a fork."""

    def __init__(self, work: str) -> None:
        """``work`` is the folder with the program, which is the current one."""
        super().__init__(Heap(StandIns(self._call, self._get, methods=False), judge=False), Faults(work))
        self._work = work
        self._record = False
        self._path: list[str] = []
        self._limit = sys.getrecursionlimit()
        self._outputs = _Output(), _Output()
        self._streams = [
            io.TextIOWrapper(output, "utf-8", "replace", newline="", write_through=True) for output in self._outputs
        ]
        self._no_input = _NoInput()

    def attend(self, sock: socket.socket, roots: Sequence[str], record: bool = False) -> NoReturn:
        """Serve a judge to its end.

        Args:
            sock: where the judge talks.
            roots: absolute folders to import from, before any others.
            record: tell the judge whatever the program does that a sandbox would stop or that does not cross whole.
        """
        sys.path[:0] = roots
        sys.stdin, (sys.stdout, sys.stderr) = self._no_input, self._streams
        for output in self._outputs:
            output.limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        self.channel = Channel(sock)
        self._record = record
        if record:
            record_all(self.heap.notes, self._work)
        while True:
            self.answer(self.receive()[1:])

    def serve(self, operation: str, operands: Any, values: list[Any]) -> tuple[str, list[Any], list[Any]]:
        """Answer a question of the judge's; see :meth:`Peer.serve`."""
        if operation == "call":
            number, method, count, names, depth, limit = operands
            if limit != self._limit:
                self._limit = limit
                sys.setrecursionlimit(limit)
            more = depth - _own_depth()
            kwargs = dict(zip(names, values[count:], strict=True))
            return _at_depth(more, self.heap.objects[number], method, values[:count], kwargs)
        if operation == "import":
            name, path = operands
            self._set_path(path)
            # Not import_module, whose own frame would be part of a traceback.
            __import__(name)
            return "ok", [], [None]
        owner = sys.modules[operands[0]] if type(operands[0]) is str else self.heap.objects[operands[0]]
        if operation == "get":
            return self._attribute(owner, *operands)
        return "ok", [], [_ASIDE[operation](owner)]

    def changeable(self, before: Container[int], reached: set[int]) -> Container[int]:
        """Everything; see :meth:`Peer.changeable`."""
        return _Everything()

    def refused(self, reasons: Any) -> None:
        """Note what did not cross."""
        self.heap.notes += reasons

    def notes(self) -> list[str]:
        """What is new of the notes, for a judge that wants them."""
        told = list(self.heap.notes) if self._record else []
        self.heap.notes.clear()
        return told

    def gone(self) -> NoReturn:
        """Leave: there is nobody to serve."""
        os._exit(0)

    def send(self, message: list[Any]) -> None:
        """Send a message, and before it what was printed until now."""
        assert self.channel
        stdout, stderr = (output.take() for output in self._outputs)
        for first in range(0, max(len(stdout), len(stderr)), _PRINT_CHARS):
            part = slice(first, first + _PRINT_CHARS)
            self.channel.send(["print", stdout[part], stderr[part]])
        super().send(message)

    def _set_path(self, path: list[str]) -> None:
        """Import from the folders that the judge imports from, which are told relative to ``work``."""
        before, self._path = self._path, [f"{self._work}/{folder}".rstrip("/") for folder in path]
        for folder in self._path:
            if not os.path.isdir(folder):
                sys.path_importer_cache[folder] = None  # as imports would find out in a longer way
        sys.path[:] = [*self._path, *(folder for folder in sys.path if folder not in before)]

    def _attribute(self, owner: Any, called: Any, name: str) -> tuple[str, list[Any], list[Any]]:
        if name == "__signature__" and type(called) is int:
            return "ok", [], [signatures.describe(owner)]
        value = getattr(owner, name)
        if value is not None and type(called) is str and value is sys.modules.get(f"{called}.{name}"):
            return "ok", ["submodule"], [None]
        return "ok", [], [value]

    def _call(self, number: int, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        _, (value,) = self.ask("call", [number, method, len(args), list(kwargs)], [*args, *kwargs.values()])
        return value

    def _get(self, owner: Any, name: str) -> Any:
        _, (value,) = self.ask("get", [self.heap.numbers[id(owner)], name], [])
        return value


def _names(module: Any) -> list[str]:
    """What ``from module import *`` imports."""
    listed = getattr(module, "__all__", None)
    return [name for name in vars(module) if not name.startswith("_")] if listed is None else list(listed)


_ASIDE: dict[str, Callable[[Any], Any]] = {"names": _names, "dir": dir}


def _own_depth() -> int:
    frame, depth = sys._getframe(1), 0
    while frame := frame.f_back:  # type: ignore[assignment]
        depth += 1
    return depth


def _at_depth(
    more: int, target: Any, method: str | None, args: list[Any], kwargs: dict[str, Any]
) -> tuple[str, list[Any], list[Any]]:
    """Call from as deep in the stack as the judge's test is, so that the recursion limit falls where it would there."""
    if more > 0:
        return _at_depth(more - 1, target, method, args, kwargs)
    return called(target, method, args, kwargs)
