"""Sockets of many kinds that note when somebody talks to them."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path


class Listeners:
    """Open sockets, on the loopback interface and in a folder.

    Attributes:
        addresses: where they are: a ``port`` for all that have one, paths, and an ``abstract`` name.
        heard: the kinds of those that heard something.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self.heard: list[str] = []
        self._selector = selectors.DefaultSelector()
        port = self._listen("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)).getsockname()[1]
        self._listen("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port))
        with suppress(OSError):  # no IPv6 here
            self._listen("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", port))
            self._listen("udp6", socket.AF_INET6, socket.SOCK_DGRAM, ("::1", port))
        paths = {"unix": str(folder / "s"), "dgram": str(folder / "d"), "abstract": "\0" + mark}
        for kind, path in paths.items():
            self._listen(kind, socket.AF_UNIX, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM, path)
        self.addresses: dict[str, int | str] = {"port": port, **paths}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            _socket(key).close()
        self._selector.close()

    def _listen(self, name: str, family: int, kind: int, address: tuple[str, int] | str) -> socket.socket:
        source = socket.socket(family, kind)
        if family == socket.AF_INET6:
            source.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        source.setblocking(False)
        source.bind(address)
        if kind == socket.SOCK_STREAM:
            source.listen()
        self._selector.register(source, selectors.EVENT_READ, name)
        return source

    def _hear(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                source = _socket(key)
                with suppress(OSError):
                    if source.type == socket.SOCK_STREAM:
                        source.accept()[0].close()
                    else:
                        source.recv(1 << 16)
                    self.heard.append(key.data)


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
