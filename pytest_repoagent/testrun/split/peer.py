"""The conversation: frames of JSON over one socket, a question at a time; who waits for an answer serves questions.

A question is ``["ask", operation, operands, values, table, forgotten]``. An answer is ``[kind, operands, values, table,
forgotten, notes]`` where ``kind`` is ``ok``, ``stop`` (an iterator's end) or ``fault``. ``["print", stdout, stderr]``
wants no answer. ``forgotten`` are numbers of shared objects that the sender no longer knows.
"""

from __future__ import annotations

import _thread
import json
import socket
from collections.abc import Container
from typing import Any, NoReturn

from pytest_repoagent.testrun.split.faults import Faults
from pytest_repoagent.testrun.split.graph import Heap
from pytest_repoagent.testrun.split.plain import Malformed, OwnUnservable, Unservable
from pytest_repoagent.testrun.split.unpacking import Unpacking

__tracebackhide__ = True
GONE_EXIT = 3
ANSWERS = ("ok", "stop", "fault")
MAX_BYTES = 8 << 20
_LENGTH_BYTES = 4
_CHUNK_BYTES = 1 << 16
encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class Gone(BaseException):
    """The other process has ended, or said what it never should."""


class Channel:
    """Frames of JSON: four bytes of length, then ASCII.

    Attributes:
        log: what was sent (True) and received (False), in order, while not None.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.log: list[tuple[bool, bytes]] | None = None
        self._socket = sock
        self._rest = b""

    def close(self) -> None:
        """Close the socket; the log stays."""
        self._socket.close()

    def send(self, message: list[Any]) -> None:
        """Send a message.

        Raises:
            Unservable: it is too large.
            Gone: nobody is there to read it.
        """
        data = encode(message).encode("ascii")
        if len(data) > MAX_BYTES:
            raise Unservable(f"more than {MAX_BYTES} bytes at once")
        self.send_frame(data)

    def send_frame(self, data: bytes) -> None:
        """Send the bytes of a message."""
        if self.log is not None:
            self.log.append((True, data))
        try:
            self._socket.sendall(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        except ConnectionError as error:
            raise Gone from error

    def receive(self) -> list[Any]:
        """The next message.

        Raises:
            Gone: there is none, or it is no JSON list.
        """
        try:
            message = _decode(self.receive_frame().decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise Gone from error
        if type(message) is not list:
            raise Gone
        return message

    def receive_frame(self) -> bytes:
        """The bytes of the next message."""
        self._fill(_LENGTH_BYTES)
        end = _LENGTH_BYTES + int.from_bytes(self._rest[:_LENGTH_BYTES], "big")
        if end > _LENGTH_BYTES + MAX_BYTES:
            raise Gone
        self._fill(end)
        data, self._rest = self._rest[_LENGTH_BYTES:end], self._rest[end:]
        if self.log is not None:
            self.log.append((False, data))
        return data

    def _fill(self, size: int) -> None:
        """Receive until there are at least ``size`` bytes."""
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0:
            try:
                parts.append(self._socket.recv(_CHUNK_BYTES))
            except ConnectionError as error:
                raise Gone from error
            if not parts[-1]:
                raise Gone
            missing -= len(parts[-1])
        self._rest = b"".join(parts)


class Peer:
    """One end of the conversation; the two subclasses are the two ends.

    Attributes:
        channel: where to talk; None before there is anybody.
        heap: the objects that both ends know.
    """

    def __init__(self, heap: Heap, faults: Faults) -> None:
        self.channel: Channel | None = None
        self.heap = heap
        self.faults = faults
        self._changeable: Container[int] = ()
        self._forgotten: list[int] = []
        self._depth = 0
        self._interrupted = False
        self._thread = _thread.get_ident()

    def serve(self, operation: str, operands: Any, values: list[Any]) -> tuple[str, list[Any], list[Any]]:
        """Answer a question: the answer's kind, its operands and its values."""
        raise NotImplementedError

    def changeable(self, before: Container[int], reached: set[int]) -> Container[int]:
        """The objects of this end that the other may change, once it was given those in ``reached``."""
        raise NotImplementedError

    def received(self, numbers: list[int]) -> None:
        """Note the functions and iterators that came with an answer."""

    def printed(self, stdout: Any, stderr: Any) -> None:
        """Take what the other end has printed."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """What the other end is to know of values that did not cross whole."""
        return []

    def refused(self, reasons: Any) -> None:
        """Note what did not cross."""
        raise NotImplementedError

    def unasked(self, error: Unservable) -> None:
        """Note why a question could not be put."""
        self.refused([str(error)])

    def gone(self) -> NoReturn:
        """Leave: the other end has ended, or said what it never should."""
        raise NotImplementedError

    def ask(self, operation: str, operands: list[Any], values: list[Any]) -> tuple[list[Any], list[Any]]:
        """The operands and the values of the other end's answer.

        Raises:
            Unservable: the question or the answer cannot cross.
            BaseException: what the other end raised.
        """
        if self.channel is None or _thread.get_ident() != self._thread:
            self.unasked(error := OwnUnservable("a call outside of the thread that runs the tests"))
            raise error
        if self._interrupted:
            self.gone()
        before = self._changeable
        try:
            self._send(["ask", operation, operands], values)
        except Unservable as error:
            self.unasked(error)
            raise
        self._depth += 1
        try:
            return self._result(self._wait())
        finally:
            self._depth -= 1
            self._changeable = before

    def answer(self, question: list[Any]) -> None:
        """Serve a question and send the answer."""
        self._depth += 1
        kind, operands, values = self._serve(*self._read(question))
        self._depth -= 1
        try:
            self._send([kind, operands], values)
        except BaseException as error:
            if isinstance(error, Unservable):
                self.refused([str(error)])
            kind, operands, values = self.faults.describe(error, nested=False)
            self._send([kind, operands], values)

    def send(self, message: list[Any]) -> None:
        """Send a message."""
        assert self.channel
        self.channel.send(message)

    def receive(self) -> list[Any]:
        """The next message."""
        assert self.channel
        try:
            return self.channel.receive()
        except Gone:
            self.gone()

    def _wait(self) -> list[Any]:
        """Serve questions until the answer comes."""
        try:
            while (message := self.receive())[:1] in (["ask"], ["print"]):
                if message[0] == "ask":
                    self.answer(message[1:])
                else:
                    self.printed(*message[1:])
        except BaseException:  # a signal handler's: the answer is still to come
            self._interrupted = True
            raise
        return message

    def _serve(self, operation: str, operands: Any, message: Unpacking) -> tuple[str, list[Any], list[Any]]:
        try:
            if message.refused:
                self._refuse(message.refused)
            return self.serve(operation, operands, message.values)
        except BaseException as error:
            return self.faults.describe(error, nested=self._depth > 1)

    def _read(self, question: list[Any]) -> tuple[str, Any, Unpacking]:
        try:
            operation, operands, packed, table, forgotten = question
            message = self.heap.unpack(packed, table, self._changeable)
            self.heap.forget(forgotten)
        except Exception:
            self.gone()
        return operation, operands, message

    def _result(self, answer: list[Any]) -> tuple[list[Any], list[Any]]:
        error: BaseException | None = None
        try:
            kind, operands, packed, table, forgotten, notes = answer
            message = self.heap.unpack(packed, table, self._changeable)
            self.received(message.received)
            self.heap.forget(forgotten)
            if kind == "fault":
                error = self.faults.rebuild(operands, message.values)
            elif kind == "stop":
                error = StopIteration(*message.values)
            elif kind != "ok":
                raise Malformed
            self.refused([*notes, str(error)] if isinstance(error, Unservable) else notes)
        except Exception:
            self.gone()
        if error is not None:
            raise error
        if message.refused:
            self._refuse(message.refused)
        return operands, message.values

    def _refuse(self, reasons: list[str]) -> NoReturn:
        self.refused(reasons)
        raise Unservable(reasons[0])

    def _send(self, head: list[Any], values: list[Any]) -> None:
        """Send a question, or an answer, which is the end of this process's hold on the values."""
        packing = self.heap.pack(values)
        is_answer = head[0] in ANSWERS
        if is_answer:
            values.clear()
        if not self._depth:
            self.faults.reset()
            self._forgotten += self.heap.release(frozenset() if is_answer else packing.reached)
        message = [*head, packing.values, packing.table, self._forgotten, *([self.notes()] if is_answer else [])]
        try:
            self.send(message)
        except Unservable:
            packing.undo()
            raise
        except Gone:
            self.gone()
        self._forgotten = []
        self._changeable = self.changeable(self._changeable, packing.reached)


def called(
    target: Any, method: str | None, args: list[Any], kwargs: dict[str, Any]
) -> tuple[str, list[Any], list[Any]]:
    """Answer to the call of an object, or of a method of it."""
    function = target if method is None else getattr(target, method)
    try:
        return "ok", [], [function(*args, **kwargs)]
    except StopIteration as stop:
        if method != "__next__":
            raise
        return "stop", [], list(stop.args)
