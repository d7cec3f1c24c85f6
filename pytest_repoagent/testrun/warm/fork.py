"""Forked children: their file descriptors, their place, their end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from pytest_repoagent.testrun.sandbox.libc import prctl

NOTES = 3
"""File descriptor of every child: JSON lines to the server about the run, closed before a candidate runs."""
_FIRST_SPARE = 64
_MAX_FD = os.sysconf("SC_OPEN_MAX")
_PR_SET_PDEATHSIG = 1
_SIGKILL = int(signal.SIGKILL)
# As Python sets them when it starts.
_HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
    signal.SIGPIPE: signal.SIG_IGN,
    signal.SIGXFSZ: signal.SIG_IGN,
}


def fork(fds: Sequence[int], keep: int | None = None) -> int:
    """Fork: the child's pid here; 0 in the child, which leads a session of its own.

    The child has copies of ``fds`` as 0, 1, ..., ``keep`` as it is (above 64), and no other file descriptors.
    """
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if sys.platform == "linux":
            prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST_SPARE) for fd in fds]
        for number, fd in enumerate(spare):
            os.dup2(fd, number)
        first = len(fds)
        if keep is not None:
            os.closerange(first, keep)
            first = keep + 1
        os.closerange(first, _MAX_FD)
    return pid


def reset_handlers() -> None:
    """Handle signals in this process and its forks as Python does, whatever those did who started this process."""
    for handled, handler in _HANDLERS.items():
        signal.signal(handled, handler)


def spawn(fds: Sequence[int], body: Callable[[], NoReturn], keep: int | None = None) -> int:
    """Fork a child that runs ``body``; the child's pid."""
    pid = fork(fds, keep)
    if pid == 0:
        with Noted():
            body()
    return pid


class Noted:
    """Where a child fails in this block, the server is told and the child ends."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End the child if it failed."""
        if error is not None:
            with suppress(OSError):
                note("failed", "".join(traceback.format_exception(error)))
            os._exit(1)


def note(kind: str, text: str = "") -> None:
    """Tell the server something about this run."""
    os.write(NOTES, (json.dumps([kind, text[-2000:]]) + "\n").encode())


def settle(work: str, home: str) -> None:
    """Make ``work`` and ``home`` this process' own places. Python itself reseeds ``random`` in every fork."""
    os.chdir(work)
    os.environ["HOME"] = os.environ["TMPDIR"] = home
    if tempfile := sys.modules.get("tempfile"):
        tempfile.tempdir = None  # type: ignore[attr-defined]


def kill(pid: int) -> None:
    """Kill a child, which must not have been reaped, and its process group."""
    try:
        os.killpg(pid, _SIGKILL)
    except (ProcessLookupError, PermissionError):
        with suppress(ProcessLookupError):
            os.kill(pid, _SIGKILL)


def reap(pid: int) -> Mapping[str, Any]:
    """Wait for a child, kill what is left of its group, and say how it ended."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        kill(pid)
    _, status, usage = os.wait4(pid, 0)
    return {"status": status, "cpu_s": usage.ru_utime + usage.ru_stime}
