"""A few numbers that all processes of a run keep together."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SharedNumbers:
    """Numbers in a file, 0 at first, for one thread of one process at a time."""

    def __init__(self, path: Path | None, count: int) -> None:
        """Keep ``count`` of them in ``path``, which is made when first needed; None keeps them in this process."""
        self._path = path
        self._layout = struct.Struct(f"<{count}d")
        self._own = [0.0] * count
        self._fd: int | None = None
        self._mutex = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[list[float]]:
        """The numbers, for this thread alone; what they are at the end of the block is kept."""
        with self._mutex:
            if self._path is None:
                yield self._own
                return
            if self._fd is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                found = os.pread(self._fd, self._layout.size, 0)
                numbers = list(self._layout.unpack(found)) if found else list(self._own)
                yield numbers
                os.pwrite(self._fd, self._layout.pack(*numbers), 0)
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file until it is needed again."""
        with self._mutex:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
