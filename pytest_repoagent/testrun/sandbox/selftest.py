"""Tries, from behind the barriers, to get through them."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_repoagent.testrun.sandbox.landlock import SIGNAL_SCOPE_ABI
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.libc import syscall
from pytest_repoagent.testrun.sandbox.syscalls import FORBIDDEN, numbers

_TCP_ABI = 4
_TIMEOUT_S = 30
_SETTING = "/proc/sys/kernel/core_pattern"
_NOWHERE = ("192.0.2.1", 9)  # RFC 5737: addresses for documentation


@dataclass(frozen=True)
class Attempt:
    """A way out.

    Attributes:
        what: it does, in words that follow "a candidate could".
        make: raises OSError where it is stopped.
        claimed: whether one of the layers is there that stops it.
    """

    what: str
    make: Callable[[], object]
    claimed: bool


def run(layers: Layers, confine: Callable[[], None], canary: str) -> list[str]:
    """What :func:`failures` finds in a child of this process, which must have no other threads.

    A child that does not get behind the barriers, or does not answer, is a failure, too.

    Raises:
        OSError: this machine cannot fork.
    """
    parent = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                found = failures(layers, confine, canary, parent)
            except Exception as error:
                found = [f"the barriers cannot be put up: {type(error).__name__}: {error}"]
            os.write(writing, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        answer = _read(reading)
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    try:
        return list(json.loads(answer))
    except ValueError:
        return [f"the process that tried the barriers did not answer (wait status {status})"]


def failures(layers: Layers, confine: Callable[[], None], canary: str, parent: int) -> list[str]:
    """Go behind the barriers and try them.

    Args:
        layers: what should be there.
        confine: puts the barriers up, with profile ``pure``.
        canary: a file that the process must not see.
        parent: the process that forked this one.

    Returns:
        What got through, in words.

    Raises:
        OSError: a barrier does not go up.
    """
    confine()
    return [attempt.what for attempt in _attempts(layers, canary, parent) if attempt.claimed and _succeeds(attempt)]


def _succeeds(attempt: Attempt) -> bool:
    try:
        attempt.make()
    except OSError:
        return False
    return True


def _attempts(layers: Layers, canary: str, parent: int) -> list[Attempt]:
    namespaces, landlock, seccomp = layers.namespaces, bool(layers.landlock), layers.seccomp
    hidden = namespaces or landlock
    tcp, signals = layers.landlock >= _TCP_ABI, layers.landlock >= SIGNAL_SCOPE_ABI
    return [
        Attempt("read a file outside", lambda: _open(canary, os.O_RDONLY), hidden),
        Attempt("see that a file is there", Path(canary).stat, namespaces),
        Attempt("change a file outside", lambda: _open(canary, os.O_WRONLY | os.O_APPEND), hidden or seccomp),
        Attempt("change the kernel's settings", lambda: _open(_SETTING, os.O_WRONLY), hidden or seccomp),
        Attempt("change its memory through /proc", lambda: _open("/proc/self/mem", os.O_RDWR), landlock or seccomp),
        Attempt("read its parent's environment", lambda: _open(f"/proc/{parent}/environ", os.O_RDONLY), landlock),
        Attempt("reach the network", _connect_udp, namespaces or seccomp),
        Attempt("offer a TCP port", _bind_tcp, tcp or seccomp),
        Attempt("talk to other processes", lambda: socket.socket(socket.AF_UNIX), seccomp),
        Attempt("talk to the kernel", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), seccomp),
        Attempt("start a process", _fork, seccomp),
        Attempt("signal its parent", lambda: os.kill(parent, 0), signals or seccomp),
        *_calls(seccomp),
    ]


def _calls(seccomp: bool) -> list[Attempt]:
    calls = numbers(FORBIDDEN, os.uname().machine) if seccomp else {}
    return [Attempt(f"call {name}", partial(_call, number), True) for name, number in calls.items()]


def _call(number: int) -> None:
    """Make a system call with arguments that cannot be right, which the kernel notices once it gets there."""
    try:
        syscall(number, *[-1] * 6)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise


def _open(path: str, flags: int) -> None:
    os.close(os.open(path, flags))


def _connect_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(_NOWHERE)


def _bind_tcp() -> None:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _read(fd: int) -> bytes:
    """Everything from a pipe, or nothing where its end does not come."""
    answer = b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while poll.poll(1000 * _TIMEOUT_S):
        data = os.read(fd, 1 << 16)
        if not data:
            return answer
        answer += data
    return b""
