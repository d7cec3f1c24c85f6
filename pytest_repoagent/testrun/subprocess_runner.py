"""The reference runner: a fresh Python process for every test run, in its own session, under resource limits."""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from pytest_repoagent.errors import UsageError
from pytest_repoagent.testrun.base import Job, Limits, Verdict
from pytest_repoagent.testrun.command import environment, parse
from pytest_repoagent.testrun.ending import Ending, cpu_limit_s, own_ending
from pytest_repoagent.testrun.judge import to_verdict
from pytest_repoagent.testrun.pipes import Pipes
from pytest_repoagent.testrun.staging import HOME, WORK, private_copy

CHILD = Path(__file__).with_name("child.py")


class SubprocessRunner:
    """Runs each job in a new process that imports pytest anew: slow, plain, the oracle of faster runners.

    It bounds what a run may use and leaves nothing of it behind, but it is no sandbox: the code can read what
    this user can read, reach the network and leave its process group.
    """

    name = "subprocess"
    sandbox = "none"

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise UsageError("The subprocess runner needs Linux 5.3 or later: use a Linux container, or WSL2.")

    def check(self) -> None:
        """A runner that could be made can run."""

    def run(self, job: Job) -> Verdict:
        """Run the job.

        Raises:
            UsageError: the command is not ``python -m pytest ...`` or its interpreter cannot be started.
            InfrastructureError: the run could not be made or judged; never a statement about the candidate.
        """
        interpreter, arguments = parse(job.command)
        started = time.monotonic()
        nonce = secrets.token_hex(16)
        with private_copy(job) as folder, Pipes(nonce, job.limits) as pipes:
            ending, cpu_s = _execute(interpreter, arguments, folder, job.limits, nonce, pipes)
            return to_verdict(
                job,
                pipes.events,
                ending,
                stderr=pipes.stderr,
                work=str(folder / WORK),
                folder=str(folder),
                started=started,
                cpu_s=cpu_s,
                runner=self.name,
                how="in_process",
                sandbox=self.sandbox,
            )

    def close(self) -> None:
        """Nothing is kept running between runs."""


def _execute(
    interpreter: str, arguments: tuple[str, ...], folder: Path, limits: Limits, nonce: str, pipes: Pipes
) -> tuple[Ending, float]:
    """Run the test process to its end, or to one of its bounds; how it ended, and its CPU seconds."""
    with ExitStack() as stack:
        settings = stack.enter_context(tempfile.TemporaryFile())
        settings.write(_settings(pipes.channel_end, nonce, arguments, limits))
        settings.seek(0)
        process = stack.enter_context(_start(interpreter, folder, pipes, settings))
        pipes.close_test_ends()
        exited = os.pidfd_open(process.pid)
        stack.callback(os.close, exited)
        try:
            cut = pipes.read_until(exited)
        finally:
            status, usage = _end(process)
    cut = cut or pipes.read_rest()
    cpu_s = usage.ru_utime + usage.ru_stime
    return cut or own_ending(status, cpu_s, limits), cpu_s


def _settings(channel: int, nonce: str, arguments: tuple[str, ...], limits: Limits) -> bytes:
    job = {
        "channel": channel,
        "nonce": nonce,
        "driver_pid": os.getpid(),
        "cpu_s": cpu_limit_s(limits),
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "args": arguments,
    }
    return json.dumps(job).encode()


def _start(interpreter: str, folder: Path, pipes: Pipes, settings: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the test process.

    Not with ``-I``, which would ignore PYTHONHASHSEED; the environment is ours and the child drops its script's
    folder from ``sys.path``, so nothing of what ``-I`` shuts out is there.
    """
    try:
        return subprocess.Popen(
            [interpreter, "-s", "-u", str(CHILD)],
            bufsize=0,
            cwd=folder / WORK,
            env=environment(str(folder / HOME)),
            stdin=settings,
            stdout=pipes.stdout_end,
            stderr=pipes.stderr_end,
            pass_fds=(pipes.channel_end,),
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
