"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os
import sys

_libc = ctypes.CDLL(None, use_errno=True)
_UNUSED = (0,) * 6
# Children call these just after a fork, when all that they touch has to be copied: what can be made before, is.
_CAPABILITY_VERSION, _THIS_PROCESS = 0x20080522, 0
_NO_CAPABILITIES = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, _THIS_PROCESS), (ctypes.c_uint32 * 6)()
if sys.platform == "linux":
    _prctl, _syscall, _capset = _libc.prctl, _libc.syscall, _libc.capset
    _prctl.argtypes = (ctypes.c_ulong,) * 5
    _syscall.argtypes, _syscall.restype = (ctypes.c_ulong,) * 7, ctypes.c_long


def prctl(option: int, *arguments: int) -> int:
    """Set an option of this process.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_prctl(option, *arguments, *_UNUSED[len(arguments) : 4]))


def syscall(number: int, *arguments: int) -> int:
    """Make a system call; pointers are given as addresses.

    Raises:
        OSError: the kernel refuses.
    """
    return _checked(_syscall(number, *arguments, *_UNUSED[len(arguments) :]))


def drop_capabilities() -> None:
    """Give up what root may do beyond other users; see capset(2).

    Raises:
        OSError: the kernel refuses.
    """
    _checked(_capset(*_NO_CAPABILITIES))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
