"""Signals that would end this process, handled otherwise for a while."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    """Handle what would end this process, such as a closed terminal, otherwise for the length of the block."""
    heeded = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN  # as nohup(1) leaves them
    ]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def interrupt(number: int, frame: Any) -> None:
    """A handler: end as Ctrl-C does, with everything cleaned up."""
    raise KeyboardInterrupt
