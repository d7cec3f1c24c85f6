"""What a test process' end says about the code it ran."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import dataclass

from pytest_repoagent.testrun.base import Limits, Reason

# The kernel's limit counts clock ticks, its usage figures real time: the two differ by some per cent.
_CPU_ACCOUNTING = 0.9


@dataclass(frozen=True)
class Ending:
    """How the test process ended.

    Attributes:
        what: in words that follow "the tests": ``timed out after 10 s``.
        reason: what the verdict must be, or None where the process left by itself.
        in_order: it left the way it does after its last event.
    """

    what: str
    reason: Reason | None = None
    in_order: bool = False


def cpu_limit_s(limits: Limits) -> int:
    """The CPU limit as the kernel takes it: whole seconds."""
    return math.ceil(limits.cpu_s)


def wall_limit_s(limits: Limits) -> float:
    """When a run that burns no CPU is given up."""
    return 3 * limits.cpu_s + 5


def own_ending(status: int, cpu_s: float, limits: Limits) -> Ending:
    """What the wait status of a process that was not cut short says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Ending(f"ended with exit status {code}", in_order=code == 0)
    out_of_cpu = cpu_s >= _CPU_ACCOUNTING * cpu_limit_s(limits)
    if -code == signal.SIGXCPU or (-code == signal.SIGKILL and out_of_cpu):
        return Ending(f"timed out after {limits.cpu_s:g} s", "timed_out")
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return Ending(f"the test process was killed by {name}", "crashed")


def out_of_time(limits: Limits) -> Ending:
    """It did not end, although its CPU limit would have ended it had it worked."""
    return Ending(f"timed out (no CPU progress: wall limit {wall_limit_s(limits):g} s)", "timed_out")


def too_much_output(limits: Limits) -> Ending:
    """It printed more than it may."""
    return Ending(f"stopped after more than {limits.output_bytes} bytes of output", "output_limit")


def broken_channel(what: str) -> Ending:
    """Its report channel carried what no test process sends."""
    return Ending(f"the report channel carried {what}", "crashed")
