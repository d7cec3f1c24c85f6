from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.testrun.sandbox import syscalls
from pytest_repoagent.testrun.sandbox.seccomp import Profile, assemble
from pytest_repoagent.testrun.sandbox.syscalls import numbers

PROFILES: tuple[Profile, ...] = ("pure", "files", "processes")
GROUPS = ("HARMLESS", "CHECKED", "UNREADABLE", "ATTRIBUTES", "FILES", "MODES", "PROCESSES", "FORBIDDEN")
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
X32 = 0x40000000
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
ALLOWED, KILLED = "allowed", "killed"
MACHINES = pytest.mark.parametrize("machine", syscalls.MACHINES)


def decide(
    machine: str, profile: Profile, number: int, *arguments: int, arch: int = 0, files: bool = False, pids: bool = False
) -> str:
    """What a filter says: ``allowed``, ``killed``, or the name of an error number. Follows the kernel's BPF."""
    words = [number, arch or ARCHITECTURES[machine], 0, 0]
    for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]:
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    program = assemble(machine, profile, files, pids)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words[k // 4]
            case 0x54:
                accumulator &= k
            case 0x05:
                at += k
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x06:
                return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(k) or errno.errorcode[k & 0xFFFF]
            case _:
                raise AssertionError(code)


def named(machine: str) -> dict[str, int]:
    return {name: number for group in GROUPS for name, number in numbers(getattr(syscalls, group), machine).items()}


@MACHINES
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    known["newfstatat"] = known.get("newfstatat", known.get("fstatat", 0))
    known.setdefault("fchmodat2", 452)  # newer than many headers
    found = named(machine)
    assert found == {name: known[name] for name in found}
    column = syscalls.MACHINES.index(machine)
    absent = {name for group in GROUPS for name in getattr(syscalls, group).split()[::2]} - found.keys()
    assert not {name for name in absent if name in known and column == 0}


@MACHINES
def test_no_call_is_in_two_groups(machine: str) -> None:
    every = [number for group in GROUPS for number in numbers(getattr(syscalls, group), machine).values()]
    assert len(every) == len(set(every))


@MACHINES
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_on_no_list_is_refused(machine: str, profile: Profile) -> None:
    allowed = {number for number in range(1000) if decide(machine, profile, number) == ALLOWED}
    listed = {*named(machine).values()} - {*numbers(syscalls.FORBIDDEN, machine).values()}
    assert allowed <= listed
    assert {*numbers(syscalls.HARMLESS, machine).values()} <= allowed


@MACHINES
@pytest.mark.parametrize("profile", PROFILES)
def test_calls_newer_than_the_list_do_not_exist(machine: str, profile: Profile) -> None:
    for number in (syscalls.NEWEST + 1, 600, X32 - 1):
        assert decide(machine, profile, number) == "ENOSYS"
    for number in numbers(syscalls.UNREADABLE, machine).values():
        assert decide(machine, profile, number) == "ENOSYS"


@MACHINES
@pytest.mark.parametrize("profile", PROFILES)
def test_other_ways_into_the_kernel_are_death(machine: str, profile: Profile) -> None:
    assert decide(machine, profile, 0, arch=I386) == KILLED
    assert decide(machine, profile, 0, arch=ARCHITECTURES["aarch64" if machine == "x86_64" else "x86_64"]) == KILLED
    assert decide(machine, profile, X32) == KILLED
    assert decide(machine, profile, 0xFFFFFFFF) == KILLED


@MACHINES
@pytest.mark.parametrize(
    ("group", "profile", "files"),
    [
        ("FILES", "pure", False),
        ("MODES", "pure", True),
        ("MODES", "files", False),
        ("PROCESSES", "files", True),
        ("FORBIDDEN", "processes", True),
    ],
)
def test_a_profile_does_not_allow_more_than_it_says(machine: str, group: str, profile: Profile, files: bool) -> None:
    for number in numbers(getattr(syscalls, group), machine).values():
        assert decide(machine, profile, number, files=files, pids=True) == "EPERM"


@MACHINES
@pytest.mark.parametrize(
    ("group", "profile", "files"),
    [("FILES", "files", False), ("MODES", "files", True), ("PROCESSES", "processes", False)],
)
def test_a_profile_allows_what_it_says(machine: str, group: str, profile: Profile, files: bool) -> None:
    for number in numbers(getattr(syscalls, group), machine).values():
        assert decide(machine, profile, number, files=files) == ALLOWED


@MACHINES
@given(flags=st.integers(0, 2**32 - 1))
def test_pure_opens_nothing_for_writing(machine: str, flags: int) -> None:
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000
    wanted = "EACCES" if flags & writing else ALLOWED
    assert decide(machine, "pure", named(machine)["openat"], 0, 0, flags) == wanted
    if machine == "x86_64":
        assert decide(machine, "pure", named(machine)["open"], 0, flags) == wanted


@MACHINES
@given(flags=st.integers(0, 2**32 - 1))
def test_nothing_is_emptied_that_is_not_opened_for_writing(machine: str, flags: int) -> None:
    way, empty = flags & os.O_ACCMODE, flags & os.O_TRUNC
    wanted = "EACCES" if way == os.O_ACCMODE or (empty and way == os.O_RDONLY) else ALLOWED
    assert decide(machine, "files", named(machine)["openat"], 0, 0, flags) == wanted


@MACHINES
@given(flags=st.integers(0, 2**64 - 1))
def test_a_clone_makes_a_thread_or_nothing(machine: str, flags: int) -> None:
    clone = named(machine)["clone"]
    thread = 0x3D0F00
    assert decide(machine, "pure", clone, thread) == decide(machine, "pure", clone, thread | 0x400000) == ALLOWED
    if flags & ~0x400000 & 0xFFFFFFFF != thread:
        assert decide(machine, "files", clone, flags) == "EPERM"
    assert decide(machine, "processes", clone, 0x01200011) == ALLOWED  # fork
    assert decide(machine, "processes", clone, 0x00004111) == ALLOWED  # posix_spawn
    new_namespace_or_parent = 0x7E02_0000 | 0x8000 | 0x1000 | 0x2000
    if flags & new_namespace_or_parent:
        assert decide(machine, "processes", clone, flags) == "EPERM"


@MACHINES
@given(pid=st.integers(0, 2**32 - 1))
def test_signals_are_for_oneself(machine: str, pid: int) -> None:
    own = 0xFFFFFFFE  # where the process' own number is put in
    for name in ("kill", "tgkill"):
        wanted = ALLOWED if pid == own else "EPERM"
        assert decide(machine, "processes", named(machine)[name], pid) == wanted
        assert decide(machine, "files", named(machine)[name], pid, pids=True) == wanted
    assert decide(machine, "processes", named(machine)["kill"], pid, pids=True) == ALLOWED


@MACHINES
def test_sockets_are_pairs_that_lead_nowhere_else(machine: str) -> None:
    pair, send = named(machine)["socketpair"], named(machine)["sendto"]
    stream = socket.SOCK_STREAM | socket.SOCK_CLOEXEC
    assert decide(machine, "pure", pair, socket.AF_UNIX, stream) == ALLOWED
    assert decide(machine, "processes", pair, socket.AF_UNIX, socket.SOCK_DGRAM) == "EPERM"
    assert decide(machine, "processes", pair, socket.AF_INET, socket.SOCK_STREAM) == "EPERM"
    assert decide(machine, "pure", send, 3, 0x1234, 5, socket.MSG_NOSIGNAL, 0) == ALLOWED
    for address in (1, 1 << 32, 0x7FFF_0000_0000):
        assert decide(machine, "processes", send, 3, 0x1234, 5, 0, address) == "EPERM"
    assert decide(machine, "processes", send, 3, 0x1234, 5, socket.MSG_OOB, 0) == "EPERM"


@MACHINES
@pytest.mark.parametrize("command", [8, 9, 10, 1024, 1026, 1031, 1033])  # owner, signal, lease, notify, pipe, seals
def test_descriptors_cannot_be_made_to_signal(machine: str, command: int) -> None:
    assert decide(machine, "processes", named(machine)["fcntl"], 0, command) == "EPERM"


@MACHINES
def test_limits_can_be_read_and_not_set(machine: str) -> None:
    assert decide(machine, "processes", named(machine)["prlimit64"], 0, 0, 0, 1) == ALLOWED
    for pointer in (1, 1 << 32):
        assert decide(machine, "processes", named(machine)["prlimit64"], 0, 0, pointer, 1) == "EPERM"
