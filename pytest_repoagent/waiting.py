"""Waiting for one's turn: a fair lock, and a watch that stands still meanwhile."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """A lock that threads get in the order of asking, which :class:`threading.Lock` does not promise."""

    def __init__(self) -> None:
        self._taken = False
        self._queue: deque[Lock] = deque()
        self._mutex = Lock()

    def __enter__(self) -> None:
        with self._mutex:
            if not self._taken:
                self._taken = True
                return
            ticket = Lock()
            ticket.acquire()
            self._queue.append(ticket)
        try:
            ticket.acquire()
        except BaseException:  # Ctrl-C, while waiting or just when it was given
            with self._mutex:
                waiting = ticket in self._queue
                if waiting:
                    self._queue.remove(ticket)
            if not waiting:
                self._pass_on()
            raise

    def __exit__(self, *exception: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False


class Stopwatch:
    """Seconds since it was made, without those that were spent waiting for others."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """What it shows."""
        return time.monotonic() - self._started

    def forget(self, seconds: float) -> None:
        """Take back so many."""
        self._started += seconds

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stand still inside the block."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.forget(time.monotonic() - began)
