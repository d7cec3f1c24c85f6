"""What a rollout prints and logs on a node, to be said again in the process that asked for it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from logging.handlers import QueueHandler
from queue import SimpleQueue

_PLAIN = (str, int, float, type(None))


@dataclass(frozen=True)
class Said:
    """What was printed and logged."""

    stdout: str
    stderr: str
    records: tuple[logging.LogRecord, ...]

    def repeat(self) -> None:
        """Say it in this thread."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        for record in self.records:
            logging.getLogger(record.name).handle(record)


@contextmanager
def heard(log_level: int) -> Iterator[Callable[[], Said]]:
    """Give what was said so far inside the block; ``log_level`` is the root logger's there."""
    stdout, stderr = io.StringIO(), io.StringIO()
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handler = QueueHandler(records)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(log_level)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            yield lambda: Said(
                stdout.getvalue(), stderr.getvalue(), tuple(_plain(records.get()) for _ in range(records.qsize()))
            )
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


def _plain(record: logging.LogRecord) -> logging.LogRecord:
    """The record without what somebody hung on it that may not travel."""
    return logging.makeLogRecord({name: value for name, value in vars(record).items() if isinstance(value, _PLAIN)})
