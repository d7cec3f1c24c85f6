"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_UNUSED = (0,) * 6


def prctl(option: int, *arguments: int) -> int:
    """Set an option of this process.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_libc.prctl(*map(ctypes.c_ulong, (option, *arguments, *_UNUSED)[:5])))


def syscall(number: int, *arguments: int) -> int:
    """Make a system call; pointers are given as addresses.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_libc.syscall(*map(ctypes.c_ulong, (number, *arguments, *_UNUSED)[:7])))


def drop_capabilities() -> None:
    """Give up what root may do beyond other users; see capset(2).

    Raises:
        OSError: the kernel refuses.
    """
    version, this_process = 0x20080522, 0
    header, none = (ctypes.c_uint32 * 2)(version, this_process), (ctypes.c_uint32 * 6)()
    _checked(_libc.capset(header, none))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
