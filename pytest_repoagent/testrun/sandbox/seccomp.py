"""Seccomp: a process gives up all system calls but those on a list.

The filter is classic BPF; see ``Documentation/userspace-api/seccomp_filter.rst`` of Linux. It sees a call's number and
its arguments, but not what they point to. What is not on the list fails with EPERM, as it does for a user without the
right; calls that are newer than the list do not exist, so that a C library takes its older way.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
import sys
from collections.abc import Iterable
from typing import Literal

from pytest_repoagent.testrun.sandbox import syscalls
from pytest_repoagent.testrun.sandbox.libc import prctl
from pytest_repoagent.testrun.sandbox.syscalls import numbers

Profile = Literal["pure", "files", "processes"]
"""What a process may do: compute and read files; change files, too; or start programs as well."""

Instruction = tuple[int, int, int, int]
Code = tuple[Instruction, ...]
"""Instructions that end with two returns: refuse, allow. Or with one."""

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000

_LOAD, _AND, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_FARTHEST = 255  # that a condition can jump
_ALL_BITS = 0xFFFFFFFF
_OWN_PID = 0xFFFFFFFE

_ALLOW: Code = ((_RETURN, 0, 0, 0x7FFF0000),)
_KILL: Code = ((_RETURN, 0, 0, 0x80000000),)

_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000  # the last is O_TMPFILE's own bit
_TTY_QUESTIONS = (0x5401, 0x802C542A, 0x5413)  # TCGETS, TCGETS2, TIOCGWINSZ
_FD_REQUESTS = (0x541B, 0x5421, 0x5450, 0x5451)  # FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_FD_COMMANDS = (0, 1, 2, 3, 4, 1030, 1032)  # F_DUPFD, F_[GS]ETFD, F_[GS]ETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ
_LOCK_COMMANDS = (5, 6, 7, 36, 37, 38)  # F_GETLK, F_SETLK, F_SETLKW and the same for open file descriptions
_THREAD_NAME = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE, _MSG_OOB = 1, 1, 0xF, 1
# CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID: what makes a thread.
_THREAD = 0x003D0F00
_DETACHED = 0x00400000  # has no effect; musl sets it
_FORK = _THREAD | _DETACHED | 0x010040FF  # CLONE_CHILD_SETTID, CLONE_VFORK, the signal at its end


def supported() -> bool:
    """Whether this kernel filters system calls, on a machine whose calls are known here."""
    if sys.platform != "linux" or os.uname().machine not in syscalls.MACHINES or sys.maxsize < 1 << 32:
        return False
    try:
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, 0)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False


class Filter:
    """What one profile allows. The costly part is done once for each kind of filter in a process and its forks."""

    def __init__(self, profile: Profile, *, own_files: bool = False, own_processes: bool = False) -> None:
        """Make a filter.

        Args:
            profile: what it is for.
            own_files: another layer keeps files that must not be changed from view or read-only, so that a profile
                that changes files may change their modes and times, too.
            own_processes: another layer keeps signals from other processes, so that a profile that starts programs
                may send them some, too.
        """
        code, self._pids = _assembled(os.uname().machine, profile, own_files, own_processes)
        self._code = ctypes.create_string_buffer(code, len(code))
        header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(self._code))
        self._program = ctypes.create_string_buffer(header, len(header))
        self._address = ctypes.addressof(self._program)

    def install(self) -> None:
        """Hold this thread, and all that it starts, to the list for good; needs ``no_new_privs``.

        Raises:
            OSError: the kernel refuses.
        """
        for position in self._pids:
            struct.pack_into("=I", self._code, position, os.getpid())
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, self._address)


@functools.cache
def _assembled(machine: str, profile: Profile, own_files: bool, own_processes: bool) -> tuple[bytes, tuple[int, ...]]:
    """The filter as the kernel takes it, and where in it the process' own id belongs."""
    program = assemble(machine, profile, own_files, own_processes)
    pids = tuple(8 * index + 4 for index, instruction in enumerate(program) if instruction[3] == _OWN_PID)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program), pids


def assemble(machine: str, profile: Profile, own_files: bool = False, own_processes: bool = False) -> Code:
    """The filter's instructions: a binary search for the call's number, then the checks of its arguments."""
    rules = _rules(machine, profile, own_files, own_processes)
    refuse = _fail(errno.EPERM)
    cases: list[tuple[int, Code]] = []
    for number in range(syscalls.NEWEST + 1):
        code = rules.get(number, refuse)
        if not cases or cases[-1][1] != code:
            cases.append((number, code))
    cases += [(syscalls.NEWEST + 1, _fail(errno.ENOSYS)), (_X32, _KILL)]
    architecture = ((_LOAD, 0, 0, _ARCH_AT), (_IF_EQUAL, 1, 0, _AUDIT_ARCH[machine]), *_KILL)
    return (*architecture, (_LOAD, 0, 0, _NUMBER_AT), *_search(cases))


def _rules(machine: str, profile: Profile, own_files: bool, own_processes: bool) -> dict[int, Code]:
    """What is done about each number; the others are refused."""
    allowed, checks = syscalls.HARMLESS, _checks()
    if profile != "pure":
        allowed += syscalls.FILES + (syscalls.MODES if own_files else "")
        checks |= _file_checks()
    if profile == "processes":
        allowed += syscalls.PROCESSES
        checks["clone"] = _among(0, (0,), mask=_ALL_BITS ^ _FORK)
        if own_processes:
            checks["kill"] = _ALLOW
    known = numbers(syscalls.CHECKED, machine)
    return {
        **dict.fromkeys(numbers(allowed, machine).values(), _ALLOW),
        **dict.fromkeys(numbers(syscalls.UNREADABLE, machine).values(), _fail(errno.ENOSYS)),
        **dict.fromkeys(numbers(syscalls.ATTRIBUTES, machine).values(), _fail(errno.EOPNOTSUPP)),
        **{known[name]: code for name, code in checks.items() if name in known},
    }


def _checks() -> dict[str, Code]:
    stream = _then(_among(0, (_AF_UNIX,)), _among(1, (_SOCK_STREAM,), mask=_SOCK_TYPE))
    return {
        "open": _among(1, (os.O_RDONLY,), mask=_WRITING, error=errno.EACCES),
        "openat": _among(2, (os.O_RDONLY,), mask=_WRITING, error=errno.EACCES),
        "fcntl": _among(1, _FD_COMMANDS),
        "ioctl": _among(1, (*_TTY_QUESTIONS, *_FD_REQUESTS), error=errno.EOPNOTSUPP),
        "pipe2": _among(1, (0,), mask=_ALL_BITS ^ (os.O_CLOEXEC | os.O_NONBLOCK)),
        "prlimit64": _then(_null(2), _among(0, (0,))),
        "prctl": _among(0, _THREAD_NAME),
        "kill": _among(0, (_OWN_PID,)),
        "tgkill": _among(0, (_OWN_PID,)),
        "clone": _among(0, (_THREAD,), mask=_ALL_BITS ^ _DETACHED),
        "socketpair": stream,
        "sendto": _then(_null(4), _among(3, (0,), mask=_MSG_OOB)),
        "recvfrom": _among(3, (0,), mask=_MSG_OOB),
    }


def _file_checks() -> dict[str, Code]:
    # Older versions of Landlock let a file be emptied that is not opened for writing.
    ways = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC)
    mask = os.O_ACCMODE | os.O_TRUNC
    return {
        "open": _among(1, ways, mask=mask, error=errno.EACCES),
        "openat": _among(2, ways, mask=mask, error=errno.EACCES),
        "fcntl": _among(1, (*_FD_COMMANDS, *_LOCK_COMMANDS)),
    }


def _fail(error: int) -> Code:
    return ((_RETURN, 0, 0, 0x00050000 | error),)


def _among(argument: int, values: Iterable[int], *, mask: int = _ALL_BITS, error: int = errno.EPERM) -> Code:
    """Allow where the lower half of an argument, which is all the kernel reads of an int, has one of the values."""
    return _if_among(_ARGUMENTS_AT + 8 * argument, tuple(values), mask, error)


def _null(argument: int) -> Code:
    """Allow where a pointer is null."""
    at = _ARGUMENTS_AT + 8 * argument
    return _then(_if_among(at, (0,), _ALL_BITS, errno.EPERM), _if_among(at + 4, (0,), _ALL_BITS, errno.EPERM))


def _if_among(at: int, values: tuple[int, ...], mask: int, error: int) -> Code:
    tests = tuple((_IF_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values))
    return ((_LOAD, 0, 0, at), (_AND, 0, 0, mask), *tests, *_fail(error), *_ALLOW)


def _then(first: Code, second: Code) -> Code:
    """Allow where both do."""
    return (*first[:-1], *second)


def _search(cases: list[tuple[int, Code]]) -> Code:
    """The code of the last case whose first number is not above the loaded one."""
    if len(cases) == 1:
        return cases[0][1]
    middle = len(cases) // 2
    low, high = _search(cases[:middle]), _search(cases[middle:])
    if len(low) <= _FARTHEST:
        return ((_IF_AT_LEAST, len(low), 0, cases[middle][0]), *low, *high)
    return ((_IF_AT_LEAST, 0, 1, cases[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high)
