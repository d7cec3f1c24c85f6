"""The warm runner: a server that forks a sandboxed process for every test run, instead of starting Python anew."""

from __future__ import annotations

import sys
import time

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.testrun.base import Job, SandboxMode, Verdict
from pytest_repoagent.testrun.command import parse
from pytest_repoagent.testrun.judge import to_verdict
from pytest_repoagent.testrun.sandbox import layers
from pytest_repoagent.testrun.warm_server import ServerDied, WarmServer
from pytest_repoagent.testrun.warm_tasks import WarmTasks

RUNS_PER_SERVER = 1000


class WarmRunner:
    """Judges each job in forks of a server: the tests in one, the candidate in another, behind what barriers there are.

    Servers are started when first needed, one for each interpreter that tasks name.
    """

    name = "warm"

    def __init__(self, mode: SandboxMode) -> None:
        """Find out what barriers this machine has, unless ``mode`` is ``none``.

        Raises:
            UsageError: it cannot be found out.
        """
        try:
            self._layers = layers.NONE if mode == "none" else layers.probe()[0]
        except (OSError, ValueError) as error:
            raise UsageError(f"The sandbox cannot be tried: {error}") from error
        self.sandbox = "none" if mode == "none" else self._layers.level
        self._servers: dict[str, WarmTasks] = {}

    def check(self) -> None:
        """Start the server of the running interpreter.

        Raises:
            UsageError: it cannot be started, or a barrier does not hold.
        """
        try:
            self._tasks(sys.executable)
        except ServerDied as error:
            raise UsageError(f"The test server was killed when it started: {error}.") from error

    def run(self, job: Job) -> Verdict:
        """Run the job.

        A server that dies costs one retry, as does a process of its that is killed from outside.

        Raises:
            UsageError: the command is not ``python -m pytest ...`` or its interpreter cannot be started.
            InfrastructureError: the run could not be made or judged; never a statement about the candidate.
        """
        started = time.monotonic()
        interpreter, _ = parse(job.command)
        try:
            raw, manner = self._tasks(interpreter).run(job)
        except ServerDied:
            self._forget(interpreter)
            try:
                raw, manner = self._tasks(interpreter).run(job)
            except ServerDied as error:
                self._forget(interpreter)
                raise InfrastructureError(f"The test server died twice in one run: {error}.") from error
        return to_verdict(
            job,
            raw.events,
            raw.ending(job.limits),
            stderr=raw.stderr,
            work=raw.work,
            folder=raw.folder,
            started=started,
            cpu_s=sum(process["cpu_s"] for process in (raw.judge, raw.worker) if process),
            runner=self.name,
            how="in_process" if manner.together else "split",
            sandbox=self.sandbox,
        )

    def close(self) -> None:
        """Stop the servers."""
        for interpreter in list(self._servers):
            self._forget(interpreter)

    def _tasks(self, interpreter: str) -> WarmTasks:
        if interpreter in self._servers and self._servers[interpreter].runs >= RUNS_PER_SERVER:
            self._forget(interpreter)
        if interpreter not in self._servers:
            self._servers[interpreter] = WarmTasks(WarmServer(interpreter, self._layers))
        return self._servers[interpreter]

    def _forget(self, interpreter: str) -> None:
        tasks = self._servers.pop(interpreter, None)
        if tasks:
            tasks.server.close()
