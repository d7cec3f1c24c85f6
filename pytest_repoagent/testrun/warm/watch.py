"""Waiting for a run's processes, which the driver may have cut short, and saying how they ended."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_repoagent.testrun.split.peer import GONE_EXIT
from pytest_repoagent.testrun.warm import messages
from pytest_repoagent.testrun.warm.fork import kill, reap

_PATIENCE_S = 1.0
_LOOK_MS = 20
MAX_THREADS = 256


class DriverGone(Exception):
    """Nobody waits for the result."""


@dataclass(frozen=True)
class Ends:
    """How a run's processes ended.

    Attributes:
        judge: ``status`` (as of wait) and ``cpu_s`` of the process with pytest.
        worker: the same of the worker, with ``stayed`` where it had left its judge and lived on; None without one.
        notes: what the processes told the server, as [kind, text].
    """

    judge: Mapping[str, Any]
    worker: Mapping[str, Any] | None
    notes: list[list[str]]


def watch(control: socket.socket, judges: socket.socket, worker: int | None, notes: int) -> Ends:
    """Wait for a judge, end its worker, and read the notes.

    Args:
        control: the driver's socket; any message on it means that the run is to be cut short.
        judges: where the process that forked the judge says who it is, then how it ended.
        worker: the worker's pid.
        notes: the reading end of the notes' pipe.

    Raises:
        DriverGone: so says ``control``.
        messages.Closed: the process that forked the judge is gone.
    """
    judge: Mapping[str, Any] = {}
    try:
        pid = messages.receive(judges)[0]["pid"]
        _wait(control, judges, pid, worker)
        judge = messages.receive(judges)[0]
    finally:
        left = os.waitstatus_to_exitcode(judge.get("status", 0)) == GONE_EXIT
        end = None if worker is None else _end(worker, patient=left)
    return Ends(judge, end, read_notes(notes))


def answer(control: socket.socket, template: socket.socket, timeout_s: float) -> Mapping[str, Any] | None:
    """What a template says when it is prepared; None where it is not, in time.

    Raises:
        DriverGone: so says ``control``.
    """
    ready, _, _ = select.select([control, template], [], [], timeout_s)
    if control in ready:
        raise DriverGone
    try:
        return messages.receive(template)[0] if ready else None
    except messages.Closed:
        return None


def read_notes(fd: int) -> list[list[str]]:
    """The notes of processes that have ended."""
    os.set_blocking(fd, False)
    data = b""
    try:
        while more := os.read(fd, 1 << 16):
            data += more
    except BlockingIOError:
        pass
    return [json.loads(line) for line in data.splitlines()]


def _wait(control: socket.socket, judges: socket.socket, judge: int, worker: int | None) -> None:
    poll = select.poll()
    poll.register(judges, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll(_LOOK_MS)}
        if judges.fileno() in ready:
            return
        for pid in (judge, worker):
            if pid is not None and _threads(pid) > MAX_THREADS:  # nothing else bounds them for root
                kill(pid)
        if not ready:
            continue
        try:
            messages.receive(control)
        except messages.Closed:
            raise DriverGone from None
        kill(judge)


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):  # it ended, or is ending
        return 0


def _end(worker: int, patient: bool) -> Mapping[str, Any]:
    deadline = time.monotonic() + _PATIENCE_S
    while patient and time.monotonic() < deadline:
        if os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            return reap(worker)
        time.sleep(0.001)
    kill(worker)
    return {**reap(worker), "stayed": patient}
