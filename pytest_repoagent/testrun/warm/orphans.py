"""Processes that outlived the run that started them: the server inherits them and ends them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_CHILDREN = "/proc/thread-self/children"
_TIMEOUT_S = 5.0


class StillAlive(Exception):
    """They multiply faster than they can be killed."""


def adopt() -> None:
    """Become the parent of every descendant whose parent ends. Only Linux offers this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def bury(own: int) -> None:
    """Kill and reap every child but ``own``.

    Raises:
        StillAlive: there are still some after five seconds.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while orphans := _children() - {own}:
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if time.monotonic() > deadline:
            raise StillAlive(f"{len(orphans)} processes")


def _children() -> set[int]:
    try:
        with open(_CHILDREN, "rb", buffering=0) as file:
            return {int(pid) for pid in file.readall().split()}
    except FileNotFoundError:
        return set()
