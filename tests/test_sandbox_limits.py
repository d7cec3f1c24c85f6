from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_kit import LIMITS, Place

from pytest_repoagent.testrun.sandbox.limits import CPU_GRACE_S, ProcessLimits

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses some limits")


def bounded(**changes: int) -> Place:
    return Place(limits=replace(LIMITS, **changes))


def test_cpu_time_runs_out_with_a_signal_then_death() -> None:
    code = "signal.signal(signal.SIGXCPU, lambda *_: os.write(1, b'signal '))\nwhile True: pass"
    ended = bounded(cpu_s=1).attempt(code)
    assert (ended.stdout, ended.returncode) == ("signal ", -signal.SIGKILL)


def test_memory_runs_out() -> None:
    assert bounded(memory_bytes=256 << 20).said("bytearray(300 << 20)") == "MemoryError: "
    assert bounded(memory_bytes=512 << 20).said("bytearray(300 << 20)") == "done"


def test_files_stay_small(tmp_path: Path) -> None:
    file = str(tmp_path / "file")
    place = bounded(file_bytes=1000)
    assert place.said(f"assert open({file!r}, 'wb', 0).write(bytes(2000)) == 1000") == "done"
    assert place.said(f"open({file!r}, 'ab', 0).write(b'x')") == "EFBIG"
    assert place.said(f"os.truncate({file!r}, 2000)") == "EFBIG"


def test_files_stay_few() -> None:
    code = "files = [open('/dev/null') for _ in range(40)]"
    assert bounded(open_files=32).said(code) == "EMFILE"
    assert bounded(open_files=64).said(code) == "done"


def test_processes_stay_few() -> None:
    if os.getuid() == 0:
        pytest.skip("the kernel does not hold root to it")
    assert bounded(processes=1).said("os.fork() or os._exit(0)") == "EAGAIN"


def test_there_are_no_dumps_and_no_locked_memory() -> None:
    code = "assert resource.getrlimit(resource.RLIMIT_{0}) == (0, 0)"
    for name in ("CORE", "MEMLOCK", "MSGQUEUE"):
        assert Place().said(code.format(name)) == "done"


def test_lower_limits_stay() -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 1 << 40))
apply(ProcessLimits(5, 1 << 30, 1000, 64).changes())
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (20, 30)
assert resource.getrlimit(resource.RLIMIT_FSIZE) == (500, 1000)
assert resource.getrlimit(resource.RLIMIT_CPU) == (5, 6)
apply(ProcessLimits(50, 1 << 40, 1000, 64).changes())
assert resource.getrlimit(resource.RLIMIT_CPU) == (5, 6)
assert resource.getrlimit(resource.RLIMIT_AS) == (1 << 30, 1 << 30)
"""
    unbounded = ProcessLimits(100, 1 << 40, 1 << 40, 1024)
    assert Place(limits=unbounded).said(code) == "done"
    assert CPU_GRACE_S == 1
