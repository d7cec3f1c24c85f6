"""Landlock: a process gives up all files but some, and TCP, abstract sockets and signals to others where it can.

The numbers are those of ``include/uapi/linux/landlock.h``; see landlock(7). Rules bind to the files and folders that
the paths named when the rule set was made, not to the paths.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from ctypes import addressof, create_string_buffer
from struct import pack

from pytest_repoagent.testrun.sandbox.libc import syscall

SIGNAL_SCOPE_ABI = 6
"""From this version on, a process can be kept from sending signals to those outside."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM, _REFER, _TRUNCATE = (1 << bit for bit in (7, 8, 10, 12, 13, 14))
_IOCTL_DEV = 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_CHANGE = _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM | _REFER
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _CHANGE

# Version -> how many rights, counted from bit 0, there are since then.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16, 9: 17}
_NETWORK_RIGHTS = {4: 2, 10: 4}
_SCOPES = {SIGNAL_SCOPE_ABI: 2}

_FIRST_FD = 100
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")


def abi() -> int:
    """The version of Landlock that this kernel has; 0 where it has none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    try:
        return syscall(_CREATE_RULESET, 0, 0, _VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


class Ruleset:
    """What remains allowed. Everything that this kernel's version knows is forbidden otherwise."""

    def __init__(self, read: Sequence[str], write: Sequence[str], names: Sequence[str] = ()) -> None:
        """Make a rule set.

        Args:
            read: files, and folders with what is in them, that can be read and executed.
            write: those that can be changed, too.
            names: folders whose entries' names, at any depth, can be read.

        Raises:
            OSError: there is no Landlock, or a path cannot be opened; the error names it.
        """
        version = abi()
        if not version:
            raise OSError(errno.ENOSYS, "there is no Landlock")
        self._rights = _known(_FILE_RIGHTS, version)
        attributes = pack("QQQ", self._rights, _known(_NETWORK_RIGHTS, version), _known(_SCOPES, version))
        buffer = create_string_buffer(attributes, len(attributes))
        fd = syscall(_CREATE_RULESET, addressof(buffer), len(attributes), 0)
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
        os.close(fd)
        try:
            for path in read:
                self._allow(path, _READ)
            for path in write:
                self._allow(path, _WRITE)
            for path in names:
                self._allow(path, _READ_DIR)
            for path in filter(os.path.exists, _DEVICES):
                self._allow(path, _READ_FILE | _WRITE_FILE)
        except BaseException:
            self.close()
            raise

    def restrict(self) -> None:
        """Keep this thread, and all that it starts, to the rule set for good; needs ``no_new_privs``.

        Raises:
            OSError: the kernel refuses.
        """
        syscall(_RESTRICT_SELF, self._fd, 0)

    def fileno(self) -> int:
        """The file descriptor that the process to be restricted needs; far above those that have a meaning to it."""
        return self._fd

    def close(self) -> None:
        """Close the rule set; a restriction stays."""
        os.close(self._fd)

    def _allow(self, path: str, rights: int) -> None:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                rights &= _OF_FILES
            rule = pack("=Qi", rights & self._rights, fd)
            buffer = create_string_buffer(rule, len(rule))
            syscall(_ADD_RULE, self._fd, _PATH_BENEATH, addressof(buffer), 0)
        finally:
            os.close(fd)


def _known(rights: Mapping[int, int], version: int) -> int:
    return (1 << max((count for since, count in rights.items() if since <= version), default=0)) - 1
