"""The three pipes of a test run: its reports, what it prints, and what it says on stderr."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from typing import Self

from pytest_repoagent.testrun.base import Limits
from pytest_repoagent.testrun.ending import Ending, broken_channel, out_of_time, too_much_output, wall_limit_s
from pytest_repoagent.testrun.events import ChannelError, Event, EventReader
from pytest_repoagent.testrun.feedback import clip

STDERR_CHARS = 8000
_READ_BYTES = 1 << 16
_HEAD_START_MS = 25


class Pipes:
    """The driver's ends, read without blocking, and the ends that test processes write to."""

    def __init__(self, nonce: str, limits: Limits) -> None:
        """Make the pipes of a run whose reports stand behind ``nonce``."""
        self._limits = limits
        self._reports = EventReader(nonce)
        self._broken = ""
        self._errors = bytearray()
        self._output_left = limits.output_bytes
        self._channel, self.channel_end = os.pipe()
        self._stdout, self.stdout_end = os.pipe()
        self._stderr, self.stderr_end = os.pipe()
        self._open = {self._channel, self._stdout, self._stderr, *self.test_ends}
        for fd in (self._channel, self._stdout, self._stderr):
            os.set_blocking(fd, False)

    @property
    def test_ends(self) -> tuple[int, int, int]:
        """The ends for the test processes: reports, stdout, stderr."""
        return self.channel_end, self.stdout_end, self.stderr_end

    @property
    def events(self) -> Sequence[Event]:
        """What was reported, in order."""
        return self._reports.events

    @property
    def stderr(self) -> str:
        """What was written to stderr, its head and its tail."""
        return clip(self._errors.decode("utf-8", "replace"), STDERR_CHARS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for fd in self._open:
            os.close(fd)

    def close_test_ends(self) -> None:
        """Close this process' copies, once the test processes have theirs."""
        for fd in self.test_ends:
            self._open.remove(fd)
            os.close(fd)

    def read_until(self, done: int) -> Ending | None:
        """Read until the file descriptor ``done`` is readable, whoever else still holds a pipe open.

        Most runs are over soon and fit into the pipes, and to be woken by each of their reports costs more than to
        read them together: the pipes are left alone for the first moment.

        Returns:
            None, or why the run must be cut short: a bound was passed.
        """
        deadline = time.monotonic() + wall_limit_s(self._limits)
        poll = select.poll()
        poll.register(done, select.POLLIN)
        if poll.poll(_HEAD_START_MS):
            return None
        for fd in (self._channel, self._stdout, self._stderr):
            poll.register(fd, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(1000 * left)}
            for fd in ready - {done}:
                if not self._read(fd):
                    poll.unregister(fd)
            if cut := self._passed():
                return cut
            if done in ready:
                return None
        return out_of_time(self._limits)

    def read_rest(self) -> Ending | None:
        """Read what the pipes still hold; what it returns is as for :meth:`read_until`."""
        for fd in (self._channel, self._stdout, self._stderr):
            while self._read(fd) and not self._passed():
                pass
        return self._passed()

    def _passed(self) -> Ending | None:
        if self._broken:
            return broken_channel(self._broken)
        return too_much_output(self._limits) if self._output_left < 0 else None

    def _read(self, fd: int) -> bool:
        """Take a piece; False at the end, or where there is nothing yet."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if fd == self._channel:
            try:
                self._reports.feed(data)
            except ChannelError as error:
                self._broken = str(error)
            return bool(data)
        if fd == self._stderr:
            self._errors += data
        self._output_left -= len(data)
        return bool(data)
