"""A process goes behind its barriers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_repoagent.testrun.sandbox import landlock, limits, seccomp
from pytest_repoagent.testrun.sandbox.layers import NONE, Layers
from pytest_repoagent.testrun.sandbox.libc import drop_capabilities, prctl
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
from pytest_repoagent.testrun.sandbox.seccomp import Profile

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = int(signal.SIGKILL)


class Confinement:
    """The barriers for one process, or for several that do the same work."""

    def __init__(
        self,
        layers: Layers,
        profile: Profile,
        bounds: ProcessLimits,
        read: Sequence[str],
        write: Sequence[str],
        names: Sequence[str] = (),
    ) -> None:
        """Prepare what can be prepared in the process that will fork the others.

        Args:
            layers: the barriers to put up; namespaces must be there already. Without any only ``bounds`` are set.
            profile: what the process is going to do.
            bounds: what it may use up.
            read: files and folders that it may read.
            write: files and folders that it may change.
            names: folders in which it may see which files there are.

        Raises:
            OSError: a path does not exist, or the kernel refuses.
        """
        self._changes = bounds.changes()
        self._exposed = layers == NONE
        self._ruleset = landlock.Ruleset(read, write, names) if layers.landlock else None
        self._filter = None
        if layers.seccomp:
            own_processes = layers.landlock >= landlock.SIGNAL_SCOPE_ABI
            own_files = layers.namespaces and not _is_root_outside()
            self._filter = seccomp.Filter(profile, own_files=own_files, own_processes=own_processes)

    def enter(self) -> None:
        """Go behind the barriers for good.

        The process also dies with the thread that started it and, behind any barrier, has no capabilities, gains no
        rights by running a program, and cannot be traced or dumped.

        Raises:
            OSError: a barrier does not go up; the process must then end.
        """
        if sys.platform == "linux":
            if not self._exposed:
                drop_capabilities()
                prctl(_PR_SET_DUMPABLE, 0)
                prctl(_PR_SET_NO_NEW_PRIVS, 1)
            prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if self._ruleset:
            self._ruleset.restrict()
        self.close()
        limits.apply(self._changes)
        if self._filter:
            self._filter.install()

    def fileno(self) -> int | None:
        """The file descriptor that :meth:`enter` needs, if any."""
        return self._ruleset.fileno() if self._ruleset else None

    def close(self) -> None:
        """Drop what was prepared."""
        if self._ruleset:
            self._ruleset.close()
            self._ruleset = None


def _is_root_outside() -> bool:
    """Whether this user namespace's user is root, who owns the device files that it shares with the machine."""
    return Path("/proc/self/uid_map").read_text().split()[1] == "0"
