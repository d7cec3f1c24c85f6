"""What an attack is: a program that a test run is given, and the harm it is meant to do."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Harm = Literal[
    "cheated",  # a wrong program was judged to pass
    "leaked",  # a planted secret reached what a model is shown, a file or a listener
    "tampered",  # a file, folder or process outside was changed
    "connected",  # a listener heard from the program
    "survived",  # a process, or something else that lasts, was there after the run
    "reached",  # the program did, or used, what is none of its business; it said so itself
    "killed",  # the driver died or was stopped
    "hung",  # no verdict long after the wall limit
    "excused",  # the runner called it a failure of the infrastructure
    "demoted",  # a verdict by another judge than honest programs get
    "injected",  # the text shown to a model has control characters or a line that looks like the driver's
    "spoiled",  # afterwards the right program no longer passed, or a wrong one no longer failed
]


Layout = Literal["plain", "star", "path"]


@dataclass(frozen=True)
class Payload:
    """One attack.

    Attributes:
        name: unique.
        category: the row of the table that it counts in.
        aim: the harm it does where nothing stops it. Any other harm counts as success, too.
        source: the program after :data:`PRELUDE`; defines what the tests call, see ``world.TESTS``.
        files: more candidate files.
        honest: its answers are right, so that passing is no harm.
        root: does harm only where the tests run as root.
        layout: which of the world's tasks it is tried on.
    """

    name: str
    category: str
    aim: Harm
    source: str
    files: dict[str, str] = field(default_factory=dict)
    honest: bool = False
    root: bool = False
    layout: Layout = "plain"


def attacks(
    category: str,
    aim: Harm,
    bodies: Mapping[str, str],
    *,
    honest: bool = False,
    root: bool = False,
) -> tuple[Payload, ...]:
    """Payloads from bodies of functions; what one returns, unless empty, goes into an exception's text.

    It runs in the first call of ``solve``; that of an honest program runs when it is imported.
    """
    end = HONEST_END if honest else DISHONEST_END
    return tuple(
        Payload(
            name,
            category,
            aim,
            f"def attack():\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n{end}",
            honest=honest,
            root=root,
        )
        for name, body in bodies.items()
    )


def forgeries(category: str, bodies: Mapping[str, str]) -> tuple[Payload, ...]:
    """Payloads that want to pass; each defines ``answer(name, arg)``, which the tests' functions return."""
    return tuple(
        Payload(name, category, "cheated", textwrap.dedent(body).lstrip() + FORGED_END) for name, body in bodies.items()
    )


PRELUDE = '''\
import os, re, sys
W = __FACTS__
def loot(data):
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return sorted({x.decode() for x in re.findall(rb"LOOT-[a-z]+-[0-9a-f]{16}", data)})
def slurp(path):
    with open(path, "rb") as file:
        return loot(file.read(1 << 22))
def libc():
    import ctypes
    return ctypes.CDLL(None, use_errno=True)
def syscall(name, *args):
    """The kernel's answer; OSError for an error."""
    import ctypes
    numbers = SYSCALLS[name]
    number = numbers[0] if os.uname().machine == "x86_64" else numbers[1]
    function = libc().syscall
    function.restype = ctypes.c_long
    result = function(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
SYSCALLS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "kcmp": (312, 272), "perf_event_open": (298, 241), "bpf": (321, 280),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "open_tree": (428, 428), "fsopen": (430, 430), "io_uring_setup": (425, 425),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "openat": (257, 56), "openat2": (437, 437),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "clone": (56, 220), "clone3": (435, 435),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "shmget": (29, 194), "shmctl": (31, 195), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "personality": (135, 92), "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "syslog": (103, 116), "ioprio_set": (251, 30),
    "move_pages": (311, 239), "execveat": (322, 281), "chroot": (161, 51), "finit_module": (313, 273),
    "landlock_create_ruleset": (444, 444), "sched_setscheduler": (144, 119), "timer_create": (222, 107),
    "process_madvise": (440, 440), "pivot_root": (155, 41), "name_to_handle": (303, 264), "sethostname": (170, 161),
    "quotactl": (179, 60), "splice": (275, 76), "fchmodat2": (452, 452), "lookup_dcookie": (212, 18),
}
def ancestors():
    """Process ids from the parent up to the driver, as far as /proc shows."""
    pid, line = os.getppid(), []
    while pid > 1 and len(line) < 20:
        line.append(pid)
        if pid == W["driver"]:
            break
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rpartition(")")[2].split()[1])
    return line if W["driver"] in line else line[:1]
def mark(pause=25):
    """Stay for a while under the name that the kit looks for."""
    import time
    import ctypes
    libc().prctl(15, W["mark"].encode(), 0, 0, 0)
    time.sleep(pause)
    os._exit(0)
'''

DEFAULTS = """\
def solve(x): return None
def tally(items): return None
def walk(n): return iter(())
def feed(f): return f(20)
"""

DISHONEST_END = """
TRIED = []
def solve(x):
    if not TRIED:
        TRIED.append(x)
        found = attack()
        if found:
            raise RuntimeError(f"got {found}")
    return None
"""

HONEST_END = """
FOUND = attack()
if FOUND:
    raise RuntimeError(f"got {FOUND}")
"""

FORGED_END = """
def solve(x): return answer("solve", x)
def tally(items):
    items.sort()
    return answer("tally", items)
def walk(n):
    for i in range(n):
        yield answer("walk", i)
"""
