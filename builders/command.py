"""Commands that are never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_repoagent.errors import UsageError

GRACE_S = 10.0
"""Seconds a command has to end once it is asked to."""
_TIME_IS_UP = 124  # as timeout(1) has it
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def start(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    """Start a process; where this one is killed before it could end it, Linux asks it to end.

    Args:
        command: the words.
        how: for :class:`subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(command, preexec_fn=_end_with_parent if _PRCTL else None, **how)


def run(
    command: Sequence[str],
    deadline: float | None,
    say: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a command to its end, or to a moment of :func:`time.monotonic`; returns its exit status, 124 for that moment.

    Raises:
        UsageError: it cannot be run.
    """
    try:
        process = start(command, env={**os.environ, **(environment or {})})
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run ({error.strerror})") from None
    try:
        return process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        say("the time is up: the command is ended")
        return _TIME_IS_UP
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill it where it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    assert _PRCTL
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
