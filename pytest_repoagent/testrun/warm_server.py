"""The driver's end of a warm server: starts it, asks it, and stops it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.testrun import warm
from pytest_repoagent.testrun.base import Limits
from pytest_repoagent.testrun.command import environment
from pytest_repoagent.testrun.ending import Ending, cpu_limit_s, own_ending
from pytest_repoagent.testrun.events import Event
from pytest_repoagent.testrun.pipes import Pipes
from pytest_repoagent.testrun.sandbox import bubblewrap
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.split.peer import GONE_EXIT
from pytest_repoagent.testrun.staging import PREFIX, remove
from pytest_repoagent.testrun.warm import libraries, messages

REPLY_TIMEOUT_S = 30.0
SCRATCH_BYTES = 256 << 20
_PACKAGE = Path(warm.__file__).parent
_STOP_TIMEOUT_S = 5.0


class ServerDied(Exception):
    """The server is gone, or did not answer in time; another one may do better."""


@dataclass(frozen=True)
class RawRun:
    """A run as it was reported, not judged yet.

    Attributes:
        events: what the tests reported.
        stderr: what was written there.
        cut: why the driver cut it short; None where it ended by itself.
        judge, worker: how the processes ended, see :class:`~.warm.watch.Ends`.
        notes: what they noted: (kind, text).
        work: where the tests were.
        folder: where they could write.
    """

    events: Sequence[Event]
    stderr: str
    cut: Ending | None
    judge: Mapping[str, Any]
    worker: Mapping[str, Any] | None
    notes: Sequence[tuple[str, str]]
    work: str
    folder: str

    def ending(self, limits: Limits) -> Ending:
        """How the run ended."""
        if self.cut:
            return self.cut
        process = self._decisive()
        if process.get("stayed"):
            return Ending("the test process no longer answered its judge", "crashed")
        return own_ending(process["status"], process["cpu_s"], limits)

    def was_killed(self, limits: Limits) -> bool:
        """Whether somebody killed a process, and neither the server nor the kernel for its CPU time."""
        code = os.waitstatus_to_exitcode(self._decisive()["status"])
        return code == -signal.SIGKILL and self.ending(limits).what.endswith("SIGKILL")

    def _decisive(self) -> Mapping[str, Any]:
        """The process whose end ended the run: the judge, or the worker where the judge only followed it."""
        followed = self.worker and os.waitstatus_to_exitcode(self.judge["status"]) == GONE_EXIT
        return self.worker if self.worker and followed else self.judge


class WarmServer:
    """One server process. ``folder`` is a place that both it and the driver see."""

    def __init__(self, interpreter: str, layers: Layers) -> None:
        """Start the server and have it try its barriers.

        Raises:
            UsageError: the interpreter cannot be started or lacks what is needed, or a barrier does not hold.
            ServerDied: somebody killed it.
        """
        self._open = ExitStack()
        self._socket, other = socket.socketpair()
        with other, ExitStack() as started:
            started.callback(self.close)
            self._errors = self._open.enter_context(tempfile.TemporaryFile())
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
            self._open.callback(remove, self.folder)
            self._process = self._start(interpreter, layers, other.fileno())
            self._open.callback(_stop, self._process)
            other.close()
            self._greet(interpreter, layers)
            started.pop_all()

    def close(self) -> None:
        """End the server with everything it started, and remove its folder."""
        self._socket.close()
        self._open.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The server's reply to a request that is no run.

        Raises:
            InfrastructureError: the server could not do it, in its words.
            ServerDied: it ended, or did not answer in time.
        """
        self._send(request)
        return self._receive()

    def run(self, request: Mapping[str, Any], limits: Limits) -> RawRun:
        """Have a run made, within its limits.

        Raises:
            InfrastructureError, ServerDied: see :meth:`ask`.
        """
        nonce = secrets.token_hex(16)
        with Pipes(nonce, limits) as pipes:
            self._send({**request, "nonce": nonce, "bounds": bounds(limits)}, pipes.test_ends)
            pipes.close_test_ends()
            cut = pipes.read_until(self._socket.fileno())
            if cut:
                self._send({"op": "cut"})
            reply = self._receive()
            cut = cut or pipes.read_rest()
            return RawRun(
                events=pipes.events,
                stderr=pipes.stderr,
                cut=cut,
                judge=reply["judge"],
                worker=reply["worker"],
                notes=[(kind, text) for kind, text in reply["notes"]],
                work=reply["work"],
                folder=reply["folder"],
            )

    def _start(self, interpreter: str, layers: Layers, control: int) -> subprocess.Popen[bytes]:
        command = [interpreter, "-P", "-s", "-B", str(_PACKAGE / "bootstrap.py"), str(control)]
        if layers.namespaces:
            readable = [*_folders(interpreter), str(_PACKAGE.parent), str(self.folder)]
            command = [*bubblewrap.command(readable, [], SCRATCH_BYTES), *command]
        try:
            return subprocess.Popen(
                command,
                cwd="/",
                env=environment("/nonexistent"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(control,),
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise UsageError(f"The task's interpreter {interpreter!r} cannot be started: {error.strerror}.") from error

    def _greet(self, interpreter: str, layers: Layers) -> None:
        scratch = "/tmp/run" if layers.namespaces else str(self.folder / "run")
        with tempfile.NamedTemporaryFile(prefix="repoagent-canary-") as canary:
            try:
                self._send({"layers": asdict(layers), "scratch": scratch, "canary": canary.name})
                through = self._receive()["through"]
            except ServerDied as error:
                if _was_killed(self._process):
                    raise
                raise UsageError(
                    f"The test server cannot be started with {interpreter}, which must be Python 3.11 or later with "
                    f"pytest: {error}."
                ) from None
        if through:
            raise UsageError(
                f"The sandbox does not hold ({'; '.join(through)}), so nothing is run; `repoagent doctor` says more."
            )

    def _send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        self._socket.settimeout(REPLY_TIMEOUT_S)
        try:
            messages.send(self._socket, message, fds)
        except (messages.Closed, TimeoutError) as error:
            raise ServerDied(self._last_words()) from error

    def _receive(self) -> dict[str, Any]:
        try:
            reply, _ = messages.receive(self._socket)
        except (messages.Closed, TimeoutError) as error:
            raise ServerDied(self._last_words()) from error
        if "error" in reply:
            raise InfrastructureError(f"The test server could not do its work: {reply['error']}")
        return reply

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def bounds(limits: Limits) -> dict[str, int]:
    """What the kernel enforces of the limits."""
    return {"cpu_s": cpu_limit_s(limits), "memory_bytes": limits.memory_bytes, "file_bytes": limits.file_bytes}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The server leaves when its socket closes; one that does not is killed."""
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _was_killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether a signal ended it, which bubblewrap reports as shells do."""
    try:
        code = process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return code < 0 or code > 128


def _folders(interpreter: str) -> list[str]:
    """Where an interpreter is installed; asked of itself where it is not the running one."""
    if interpreter == sys.executable:
        return list(libraries.folders())
    command = [interpreter, "-P", "-s", "-B", libraries.__file__]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment("/nonexistent"))
        return list(json.loads(answer.stdout))
    except (FileNotFoundError, PermissionError) as error:
        raise UsageError(f"The task's interpreter {interpreter!r} cannot be started: {error.strerror}.") from error
    except (ValueError, subprocess.CalledProcessError) as error:
        raise UsageError(f"The task's interpreter {interpreter!r} is no Python 3.11 or later: {error}.") from error
