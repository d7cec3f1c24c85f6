"""Resource limits: what a process may use up."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CPU_GRACE_S = 1


@dataclass(frozen=True)
class ProcessLimits:
    """Bounds on one process.

    Attributes:
        cpu_s: CPU seconds until SIGXCPU; SIGKILL follows ``CPU_GRACE_S`` later.
        memory_bytes: address space.
        file_bytes: size of any file it writes.
        open_files: file descriptors.
        processes: processes and threads of its user, everywhere on the machine; the kernel does not hold root to it.
    """

    cpu_s: int
    memory_bytes: int
    file_bytes: int
    open_files: int = 64
    processes: int | None = None

    def changes(self) -> list[tuple[int, tuple[int, int]]]:
        """What :func:`apply` has to set in this process and its forks; lower limits that hold already stay."""
        pairs = ((which, resource.getrlimit(which), soft, hard) for which, soft, hard in self._wanted())
        wanted = ((which, old, (_lowest(soft, *old), _lowest(hard, old[1]))) for which, old, soft, hard in pairs)
        return [(which, new) for which, old, new in wanted if new != old]

    def _wanted(self) -> Iterator[tuple[int, int, int]]:
        yield resource.RLIMIT_CPU, self.cpu_s, self.cpu_s + CPU_GRACE_S
        yield resource.RLIMIT_AS, self.memory_bytes, self.memory_bytes
        yield resource.RLIMIT_FSIZE, self.file_bytes, self.file_bytes
        yield resource.RLIMIT_NOFILE, self.open_files, self.open_files
        yield resource.RLIMIT_CORE, 0, 0
        yield resource.RLIMIT_MEMLOCK, 0, 0
        if hasattr(resource, "RLIMIT_MSGQUEUE"):
            yield resource.RLIMIT_MSGQUEUE, 0, 0
        if self.processes is not None:
            yield resource.RLIMIT_NPROC, self.processes, self.processes


def apply(changes: Sequence[tuple[int, tuple[int, int]]]) -> None:
    """Bound this process.

    Raises:
        OSError: the kernel refuses. On macOS, which refuses some, these are left out.
    """
    for which, pair in changes:
        try:
            resource.setrlimit(which, pair)
        except (OSError, ValueError):
            if sys.platform != "darwin":
                raise


def _lowest(*limits: int) -> int:
    return min(limit for limit in limits if limit != resource.RLIM_INFINITY)
