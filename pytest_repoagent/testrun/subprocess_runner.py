"""The reference runner: a fresh Python process for every test run, in its own session, under resource limits."""

from __future__ import annotations

import json
import math
import os
import resource
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import IO, cast

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.testrun.base import Job, Limits, Reason, Verdict
from pytest_repoagent.testrun.events import ChannelError, Event, EventReader
from pytest_repoagent.testrun.feedback import clean, clip
from pytest_repoagent.testrun.judge import Ending, judge
from pytest_repoagent.testrun.staging import HOME, WORK, private_copy

CHILD = Path(__file__).with_name("child.py")
STDERR_CHARS = 8000
# The kernel's limit counts clock ticks, its usage figures real time: the two differ by some per cent.
CPU_ACCOUNTING = 0.9


class SubprocessRunner:
    """Runs each job in a new process that imports pytest anew: slow, plain, the oracle of faster runners.

    It bounds what a run may use and leaves nothing of it behind, but it is no sandbox: the code can read what
    this user can read, reach the network and leave its process group.
    """

    name = "subprocess"

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise UsageError("The subprocess runner needs Linux 5.3 or later: use a Linux container, or WSL2.")

    def run(self, job: Job) -> Verdict:
        """Run the job.

        Raises:
            UsageError: the command is not ``python -m pytest ...`` or its interpreter cannot be started.
            InfrastructureError: the run could not be made or judged; never a statement about the candidate.
        """
        interpreter, arguments = _parse(job.command)
        started = time.monotonic()
        with private_copy(job) as folder:
            record = _execute(interpreter, arguments, folder, job.limits)
        judgement = judge(
            record.events,
            record.ending,
            expected_passed=job.expected_passed,
            expected_skipped=job.expected_skipped,
            stderr=record.stderr,
            clean=partial(clean, folder=str(folder), work=str(folder / WORK)),
        )
        return Verdict(
            passed=judgement.reason == "passed",
            reason=judgement.reason,
            counts=dict(judgement.counts),
            tests=judgement.tests,
            text=judgement.text,
            duration_s=time.monotonic() - started,
            cpu_s=record.cpu_s,
            runner=self.name,
        )

    def close(self) -> None:
        """Nothing is kept running between runs."""


@dataclass(frozen=True)
class _Record:
    events: Sequence[Event]
    ending: Ending
    stderr: str
    cpu_s: float


class _CutShort(Exception):
    """The test process must be killed."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.ending = Ending(what, reason)


def _parse(command: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if len(command) < 3 or command[1:3] != ("-m", "pytest"):
        raise UsageError(
            f"The task's command {' '.join(command)!r} cannot be run: make it `python -m pytest` and arguments."
        )
    return (sys.executable if command[0] == "python" else command[0]), command[3:]


def _environment(folder: Path) -> dict[str, str]:
    """Everything a test process sees of the environment: no secret of the driver's is in it."""
    home = str(folder / HOME)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def _cpu_limit_s(limits: Limits) -> int:
    """The kernel counts whole seconds."""
    return math.ceil(limits.cpu_s)


def _execute(interpreter: str, arguments: tuple[str, ...], folder: Path, limits: Limits) -> _Record:
    """Run the test process to its end, or to one of its bounds."""
    wall_s = 3 * limits.cpu_s + 5
    nonce = secrets.token_hex(16)
    with ExitStack() as stack:
        read_end, write_end = os.pipe()
        channel = stack.enter_context(FileIO(read_end, "rb"))
        with FileIO(write_end, "wb") as inherited, tempfile.TemporaryFile() as settings:
            settings.write(_settings(inherited.fileno(), nonce, arguments, limits))
            settings.seek(0)
            process = stack.enter_context(_start(interpreter, folder, inherited.fileno(), settings))
        cut: Ending | None = None
        try:
            pipes = _Pipes(process, channel, nonce, limits.output_bytes)
            pipes.read_until_exit(time.monotonic() + wall_s)
        except TimeoutError:
            cut = Ending(f"timed out (no CPU progress: wall limit {wall_s:g} s)", "timed_out")
        except _CutShort as error:
            cut = error.ending
        finally:
            status, usage = _end(process)
        try:
            pipes.read_rest()
        except _CutShort as error:
            cut = cut or error.ending
    cpu_s = usage.ru_utime + usage.ru_stime
    ending = cut or _own_ending(status, cpu_s, limits)
    stderr = pipes.errors.decode("utf-8", "replace")
    if not pipes.reports.events:
        words = clean(stderr).strip().rpartition("\n")[2] or "it said nothing"
        raise InfrastructureError(f"The test process {interpreter} {ending.what} before pytest started: {words}.")
    return _Record(pipes.reports.events, ending, clip(stderr, STDERR_CHARS), cpu_s)


def _settings(channel: int, nonce: str, arguments: tuple[str, ...], limits: Limits) -> bytes:
    job = {
        "channel": channel,
        "nonce": nonce,
        "driver_pid": os.getpid(),
        "cpu_s": _cpu_limit_s(limits),
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "args": arguments,
    }
    return json.dumps(job).encode()


def _start(interpreter: str, folder: Path, channel: int, settings: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the test process.

    Not with ``-I``, which would ignore PYTHONHASHSEED; the environment is ours and the child drops its script's
    folder from ``sys.path``, so nothing of what ``-I`` shuts out is there.
    """
    try:
        return subprocess.Popen(
            [interpreter, "-s", "-u", str(CHILD)],
            bufsize=0,
            cwd=folder / WORK,
            env=_environment(folder),
            stdin=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(channel,),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(f"The task's interpreter {interpreter!r} cannot be started: {error.strerror}.") from error


def _end(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    """Kill the process group and reap its leader, in this order: until it is reaped, no other group has its id."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return status, usage


def _own_ending(status: int, cpu_s: float, limits: Limits) -> Ending:
    """What the wait status of a process that was not cut short says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Ending(f"ended with exit status {code}", in_order=code == 0)
    out_of_cpu = cpu_s >= CPU_ACCOUNTING * _cpu_limit_s(limits)
    if -code == signal.SIGXCPU or (-code == signal.SIGKILL and out_of_cpu):
        return Ending(f"timed out after {limits.cpu_s:g} s", "timed_out")
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return Ending(f"the test process was killed by {name}", "crashed")


class _Pipes:
    """The three pipes of a test process, read without blocking.

    Attributes:
        reports: what came over the report channel.
        errors: what came over stderr.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: FileIO, nonce: str, output_bytes: int) -> None:
        self.reports = EventReader(nonce)
        self.errors = bytearray()
        self._pid = process.pid
        self._channel = channel
        self._stdout, self._stderr = cast(FileIO, process.stdout), cast(FileIO, process.stderr)
        self._output_left = output_bytes
        self._output_bytes = output_bytes
        for pipe in (self._channel, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)

    def read_until_exit(self, deadline: float) -> None:
        """Read until the process exits, whoever else still holds a pipe open.

        Raises:
            TimeoutError: the monotonic clock passed ``deadline``.
            _CutShort: a bound was passed.
        """
        with ExitStack() as stack:
            exited = os.pidfd_open(self._pid)
            stack.callback(os.close, exited)
            selector = stack.enter_context(selectors.DefaultSelector())
            for source in (exited, self._channel, self._stdout, self._stderr):
                selector.register(source, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fileobj for key, _ in selector.select(left)]
                for pipe in ready:
                    if isinstance(pipe, FileIO) and not self._read(pipe):
                        selector.unregister(pipe)
                if exited in ready:
                    return
        raise TimeoutError

    def read_rest(self) -> None:
        """Read what the pipes still hold, the reports first.

        Raises:
            _CutShort: a bound was passed.
        """
        for pipe in (self._channel, self._stdout, self._stderr):
            while self._read(pipe):
                pass

    def _read(self, pipe: FileIO) -> bool:
        """Take a piece; False when there is none: the end, or nothing yet."""
        data = pipe.read(1 << 16)
        if not data:
            return False
        if pipe is self._channel:
            try:
                self.reports.feed(data)
            except ChannelError as error:
                raise _CutShort("crashed", f"the report channel carried {error}") from error
            return True
        if pipe is self._stderr:
            self.errors += data
        self._output_left -= len(data)
        if self._output_left < 0:
            raise _CutShort("output_limit", f"stopped after more than {self._output_bytes} bytes of output")
        return True
