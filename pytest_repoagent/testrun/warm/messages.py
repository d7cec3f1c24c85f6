"""Messages between the driver, the server and the pytest processes: JSON with file descriptors, length first.

Only trusted processes hold these sockets; what the candidate says goes over ``split.peer``.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

_LENGTH_BYTES = 8
_MAX_FDS = 8
_encode = json.JSONEncoder().encode
_decode = json.JSONDecoder().decode


class Closed(Exception):
    """The other process has ended, or closed its socket."""


def send(connection: socket.socket, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a message and copies of ``fds``.

    Raises:
        Closed: nobody is there to read it.
    """
    data = _encode(message).encode("ascii")
    data = len(data).to_bytes(_LENGTH_BYTES, "big") + data
    try:
        if fds:
            data = data[socket.send_fds(connection, [data], fds) :]
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Closed from error


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its file descriptors.

    Raises:
        Closed: there is none to come.
        TimeoutError: the socket has a time-out, and it passed.
    """
    try:
        length, fds, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, _MAX_FDS)
        length += _exactly(connection, _LENGTH_BYTES - len(length)) if length else b""
        if not length:
            raise Closed
        return _decode(_exactly(connection, int.from_bytes(length, "big")).decode("ascii")), fds
    except ConnectionResetError as error:
        raise Closed from error


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise Closed
        view = view[count:]
    return bytes(data)


def to_text(data: bytes) -> str:
    """Any bytes as a string that JSON can carry; :func:`to_bytes` is the way back."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The bytes that :func:`to_text` was given."""
    return text.encode("utf-8", "surrogateescape")


def close(fds: Sequence[int]) -> None:
    """Close file descriptors."""
    for fd in fds:
        os.close(fd)
