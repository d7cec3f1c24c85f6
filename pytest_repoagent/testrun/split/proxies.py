"""The judge's side of the conversation, in a process that runs the tests and never the program."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from pytest_repoagent.testrun.split import signatures
from pytest_repoagent.testrun.split.fabricate import Tracebacks
from pytest_repoagent.testrun.split.faults import Faults
from pytest_repoagent.testrun.split.finder import Finder
from pytest_repoagent.testrun.split.graph import Heap
from pytest_repoagent.testrun.split.peer import ANSWERS, GONE_EXIT, Channel, Gone, Peer, called, encode
from pytest_repoagent.testrun.split.plain import Malformed, OwnUnservable, Unservable, text
from pytest_repoagent.testrun.split.recorder import DRAWS, LOOKS_FOR
from pytest_repoagent.testrun.split.standins import StandIns
from pytest_repoagent.testrun.split.tracing import OWN_FOLDER
from pytest_repoagent.testrun.split.watch import Watch

__tracebackhide__ = True
# A plain test run has a script and its main function below pytest; up to Python 3.11, calls through C count too.
_FRAMES_BELOW = 5 if sys.version_info < (3, 12) else 2
_NOTE_CHARS = 300
_MAX_NOTES = 100
# What may be printed before a question is answered; more than any worker keeps.
_PRINT_CHARS = 64 << 20
_PACKAGE = OWN_FOLDER.rpartition("/testrun/")[0] + "/"


class Bridge(Peer):
    """Serves the program's modules to the tests of this process, by asking a worker.

    Where the worker ends, or says what it never should, this process ends at once with ``GONE_EXIT``.

    Attributes:
        unservable: what tests and program would have shared and cannot in two processes, in words.
        wanted: what of it the tests themselves asked for, whatever the program is, in words; empty if nothing.
        exports: module -> the names that star imports brought.
        frames_missing: by how much the stack below a test is shallower than in a plain test run.
    """

    def __init__(
        self,
        work: str,
        program: Mapping[str, str],
        importable: Iterable[str] | None = None,
        exports: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make a bridge that is not connected.

        Args:
            work: absolute folder of the tests, in which the program's files do not exist.
            program: relative path -> text of all the program's files.
            importable: those that the tests may import, if not all: a file that a candidate added must not stand in
                for a module of somebody else's.
            exports: module -> the names that a star import may bring, if not all: a name that a candidate added must
                not take the place of one of the tests'.
        """
        self._tracebacks = Tracebacks(work, program)
        standins = StandIns(self.call, self.get, methods=True)
        super().__init__(Heap(standins, judge=True), Faults(work, self._tracebacks))
        self.unservable: list[str] = []
        self.wanted = ""
        self.frames_missing = _FRAMES_BELOW
        paths = program if importable is None else importable
        self._finder = Finder(self, work, {path: program[path] for path in paths})
        self._watch = Watch(self._finder, self.refused, self.stuck)
        self._changeable: set[int] = set()
        self._granted: dict[int, set[int]] = {}
        self._unprinted: OSError | None = None
        self._print_left = 0
        self._may_export = exports
        self.exports: dict[str, list[str]] = {}

    def install(self) -> None:
        """Serve what this process imports from now on, and note what tests do behind the bridge's back."""
        sys.meta_path.insert(0, self._finder)
        self._watch.start()

    def connect(self, sock: socket.socket) -> None:
        """Ask the worker at the other end of ``sock`` from now on, and keep a transcript."""
        self.channel = Channel(sock)
        self.channel.log = []

    def disconnect(self) -> None:
        """Leave the worker; the transcript stays."""
        if self.channel:
            self.channel.close()

    def drop_notes(self) -> None:
        """Make the transcript's answers those of a worker that notes nothing, so that most others' are just equal."""
        for number, (sent, data) in enumerate(self.transcript):
            if not sent:
                self.transcript[number] = sent, _without_notes(data)

    @property
    def transcript(self) -> list[tuple[bool, bytes]]:
        """The messages since :meth:`connect`, in order: whether it was sent, and its bytes."""
        return (self.channel and self.channel.log) or []

    def resume(self, sock: socket.socket, program: Mapping[str, str]) -> bool:
        """Ask another worker from now on, if it says to all of the transcript what the first one said.

        Args:
            sock: where the other worker is.
            program: its files' texts.
        """
        channel = Channel(sock)
        try:
            for sent, data in self.transcript:
                if sent:
                    channel.send_frame(data)
                elif not self._same_answer(data, channel.receive_frame()):
                    return False
        except Gone:
            self.gone()
        self.disconnect()
        self.channel = channel
        self._tracebacks.program = program
        self._finder.program = {path: program[path] for path in self._finder.program}
        return True

    def _same_answer(self, first: bytes, second: bytes) -> bool:
        """Whether two workers said the same, besides their notes, of which the second's count."""
        if first == second:
            return True
        try:
            *one, _ = json.loads(first)
            *other, notes = json.loads(second)
        except (TypeError, ValueError, RecursionError):
            return False
        if one != other or one[0] not in ANSWERS:
            return False
        self.refused(notes)
        return True

    def load(self, module: str) -> None:
        """Import a module of the program's."""
        self.ask("import", [module, self._finder.search_path()], [])

    def get_global(self, module: str, name: str) -> tuple[bool, Any]:
        """Whether the attribute of a module is the module of that name in it; if not, its value."""
        operands, (value,) = self.ask("get", [module, name], [])
        return bool(operands), value

    def names(self, module: str, which: str) -> list[str]:
        """The names that a star import takes (``names``), or all (``dir``)."""
        _, (names,) = self.ask(which, [module], [])
        if type(names) is not list or not all(type(name) is str for name in names):
            self.gone()
        if which == "names":
            if self._may_export is not None:
                known = self._may_export.get(module, ())
                for name in names:
                    if name not in known:
                        self.get_global(module, name)
                names = [name for name in names if name in known]
            self.exports[module] = names
        return names

    def get(self, owner: Any, name: str) -> Any:
        """An attribute of an object of the program's."""
        _, (value,) = self.ask("get", [self.heap.numbers[id(owner)], name], [])
        if name != "__signature__":
            return value
        try:
            return signatures.rebuild(value)
        except Exception:
            self.gone()

    def call(self, number: int, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of the program's, or a method of an object of its."""
        operands = [number, method, len(args), list(kwargs), _depth() + self.frames_missing, sys.getrecursionlimit()]
        before = self._changeable
        self._changeable = before | self._granted.get(number, set())
        try:
            _, (value,) = self.ask("call", operands, [*args, *kwargs.values()])
        finally:
            self._changeable = before
        return value

    def ask(self, operation: str, operands: list[Any], values: list[Any]) -> tuple[list[Any], list[Any]]:
        """The operands and the values of the worker's answer; see :meth:`Peer.ask`."""
        self._print_left = _PRINT_CHARS
        self._watch.look()
        operands, values = super().ask(operation, operands, values)
        if self._unprinted:
            error, self._unprinted = self._unprinted, None
            raise error
        if len(values) != 1:
            self.gone()
        return operands, values

    def serve(self, operation: str, operands: Any, values: list[Any]) -> tuple[str, list[Any], list[Any]]:
        """Serve a call back; see :meth:`Peer.serve`."""
        try:
            number, name, *rest = operands
            asks = operation == "get" and self.heap.owns(number)
            if not asks and (operation != "call" or not self.heap.is_callable(number, name)):
                raise Malformed
            count, names = rest or (0, [])
            kwargs = dict(zip(map(text, names), values[count:], strict=True))
        except Exception:
            self.gone()
        if asks:
            self.refused([f"the program asks for {name} of an object of the tests'"])
            raise Unservable(name)
        return called(self.heap.objects[number], name, values[:count], kwargs)

    def changeable(self, before: Container[int], reached: set[int]) -> set[int]:
        """Objects that are part of a call that has not ended; see :meth:`Peer.changeable`."""
        return self._changeable | reached

    def received(self, numbers: list[int]) -> None:
        """A generator or closure may go on changing what the call that made it could change."""
        for number in numbers:
            self._granted[number] = self._changeable

    def printed(self, stdout: Any = None, stderr: Any = None, *rest: Any) -> None:
        """Print what the program printed."""
        if type(stdout) is not str or type(stderr) is not str or rest:
            self.gone()
        self._print_left -= len(stdout) + len(stderr)
        if self._print_left < 0:
            self.gone()
        try:
            sys.stdout.write(stdout)
            sys.stderr.write(stderr)
        except OSError as error:
            self._unprinted = error

    def refused(self, reasons: Any) -> None:
        """Note what did not cross."""
        for reason in reasons if type(reasons) is list else [None]:
            if type(reason) is not str:
                self.gone()
            if reason == DRAWS:
                self._watch.random(draws=True)
            elif not reason.startswith(LOOKS_FOR) or self._finder.is_trusted(reason[len(LOOKS_FOR) :]):
                self._note(reason[:_NOTE_CHARS])

    def unasked(self, error: Unservable) -> None:
        """Note why a question could not be put."""
        if isinstance(error, OwnUnservable):
            self.stuck(str(error))
        else:
            super().unasked(error)

    def stuck(self, reason: str) -> None:
        """Note what the tests want and cannot have, which is never a program's doing."""
        self.wanted = self.wanted or reason[:_NOTE_CHARS]
        self.refused([reason])

    def _note(self, reason: str) -> None:
        if reason not in self.unservable and len(self.unservable) < _MAX_NOTES:
            self.unservable.append(reason)

    def gone(self) -> NoReturn:
        """Leave at once: no teardown, no report."""
        os._exit(GONE_EXIT)


def _without_notes(message: bytes) -> bytes:
    *parts, _ = json.loads(message)
    return encode([*parts, []]).encode("ascii") if parts[0] in ANSWERS else message


def _depth() -> int:
    """How deep in the stack the caller's caller is, without this package's frames."""
    frame, depth = sys._getframe(1), 0
    while frame:
        depth += not frame.f_code.co_filename.startswith(_PACKAGE)
        frame = frame.f_back  # type: ignore[assignment]
    return depth
