"""Files that processes write together, part by part in turn, every byte once and at its place.

Each process makes parts in memory. Where a part begins is known once the one before it is made, so that only the places
where parts end go from process to process, in a ring.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import BinaryIO

MOST_KEPT = 32 * 2**20
"""Bytes of a part from which it waits for its turn, and is written while it is made."""

WRITTEN_AT_ONCE = 64 * 2**10
"""Bytes. For more, Linux looks for larger pieces of free memory, which may take it ten times as long."""


class Abandoned(Exception):
    """Another process of the ring has ended before its time."""


class Baton:
    """Where the next part begins in each file; a process has it while it is its turn."""

    def __init__(self, before: Connection, after: Connection, first: Sequence[int] | None) -> None:
        """Take the ends to the processes before and after, and where the first part begins if this process makes it."""
        self._before = before
        self._after = after
        self._first = first

    def take(self) -> Sequence[int]:
        """Wait for it.

        Raises:
            Abandoned: it will not come.
        """
        places, self._first = self._first, None
        if places is not None:
            return places
        try:
            received: list[int] = self._before.recv()
        except (EOFError, OSError):
            raise Abandoned from None
        return received

    def give(self, places: Sequence[int]) -> None:
        """Pass it on.

        Raises:
            Abandoned: nobody takes it.
        """
        try:
            self._after.send(places)
        except OSError:
            raise Abandoned from None


class Parts:
    """What parts of one process add to each of the files."""

    def __init__(self, files: Sequence[BinaryIO], baton: Baton) -> None:
        """Begin the first part; the files are open for writing, and nothing in them is cut off."""
        self._files = files
        self._baton = baton
        self._kept = [io.BytesIO() for _ in files]
        self._size = 0
        self._places: Sequence[int] | None = None

    def add(self, file: int, line: bytes) -> None:
        """Append to a file, by its number.

        Raises:
            Abandoned: as :meth:`Baton.take`.
        """
        self._kept[file].write(line)
        self._size += len(line)
        if self._size > MOST_KEPT:
            ends = self._ends()
            self._write()
            self._places = ends

    def end(self, last: bool) -> None:
        """Write the part, let the next one begin, and begin another.

        Raises:
            Abandoned: as :meth:`Baton.take` and :meth:`Baton.give`.
        """
        ends = self._ends()
        if not last:
            self._baton.give(ends)
        self._write()
        self._places = None

    def _ends(self) -> list[int]:
        if self._places is None:
            self._places = self._baton.take()
        return [place + kept.tell() for place, kept in zip(self._places, self._kept, strict=True)]

    def _write(self) -> None:
        assert self._places is not None
        for file, kept, place in zip(self._files, self._kept, self._places, strict=True):
            file.seek(place)
            with kept.getbuffer() as view:
                for start in range(0, kept.tell(), WRITTEN_AT_ONCE):
                    file.write(view[start : min(start + WRITTEN_AT_ONCE, kept.tell())])
            kept.seek(0)  # what it holds is written over: giving memory back and asking for it again takes longer
        self._size = 0
