"""How each task's tests are run by a server: split from the program, or together with it where that cannot be."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.testrun.base import Job, Limits
from pytest_repoagent.testrun.command import parse
from pytest_repoagent.testrun.events import Finished, Report
from pytest_repoagent.testrun.sandbox.seccomp import Profile
from pytest_repoagent.testrun.split.watch import STARTS
from pytest_repoagent.testrun.staging import fill, is_bytecode, read, remove
from pytest_repoagent.testrun.warm import messages
from pytest_repoagent.testrun.warm_server import RawRun, WarmServer, bounds

TASKS_KEPT = 8
CALIBRATION_CPU_S = 1.0
_RAISED = re.compile(r"(?m)^E   ([\w.]+)(?=:|$)")


@dataclass(frozen=True)
class Manner:
    """How a task's tests are run.

    Attributes:
        together: why tests and program must share a process; empty where they are split.
        profile: what that process may do: ``processes`` only where the tests need to start some.
    """

    together: str = ""
    profile: Profile = "files"


class WarmTasks:
    """The tasks that one server knows, which are the latest few; ``runs`` counts what it ran for them."""

    def __init__(self, server: WarmServer) -> None:
        self.server = server
        self.runs = 0
        self._known: OrderedDict[object, tuple[int, Manner]] = OrderedDict()
        self._latest = 0

    def run(self, job: Job) -> tuple[RawRun, Manner]:
        """Run a job, after making its task known where it is new or its files have changed.

        Raises:
            InfrastructureError: a pristine file is missing, or a folder cannot be written.
            ServerDied: see :meth:`~.warm_server.WarmServer.ask`.
        """
        self.runs += 1
        number, manner = self._task(job)
        raw = self._run(number, manner, job.counted(), job.limits)
        if wanted := next((text for kind, text in raw.notes if kind == "wanted"), ""):
            # The pristine program never got to where the tests want this.
            manner = Manner(wanted, "processes" if wanted.startswith(STARTS) else "files")
            raw = self._run(number, manner, job.counted(), job.limits)
        return raw, manner

    def _task(self, job: Job) -> tuple[int, Manner]:
        key = (
            job.root,
            job.paths,
            job.command,
            job.editable,
            tuple(_stamp(f"{job.root}/{path}") for path in job.paths),
        )
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        if len(self._known) == TASKS_KEPT:
            self._drop(self._known.popitem(last=False)[1][0])
        self._latest += 1
        self._known[key] = self._latest, self._prepare(self._latest, job)
        return self._known[key]

    def _prepare(self, number: int, job: Job) -> Manner:
        """Stage a task, and find out from the pristine program, which is trusted, how its tests can be run.

        They are split from it where all that crosses between them can cross, and where each test ends as it does with
        both in one process. A candidate has no say in this.
        """
        program = {path for path in job.paths if job.editable and job.is_program(path) and not is_bytecode(path)}
        folder = self._folder(number)
        folder.mkdir()
        fill(folder, job.root, [path for path in job.paths if path not in program], {})
        task = {
            "op": "task",
            "number": number,
            "folder": str(folder),
            "program": {path: messages.to_text(read(job.root / path)[0]) for path in sorted(program)},
            "args": parse(job.command)[1],
            "bounds": bounds(job.limits),
        }
        # Somebody may have killed a process, so a failure counts only when it comes again.
        prepared = any(self.server.ask(task)["prepared"] for _ in range(2 if program else 1))
        few = replace(job.limits, cpu_s=min(CALIBRATION_CPU_S, job.limits.cpu_s))
        with_processes = self._run(number, Manner("trial", "processes"), {}, few)
        why = "the tests cannot be collected apart from the program"
        if prepared:
            split = self._run(number, Manner(), {}, few, record=True)
            why = next((text for kind, text in split.notes if kind == "unservable"), "")
            if not why and not _agree(split, with_processes):
                why = "the tests end differently apart from the program"
            if not why:
                return Manner()
        without_processes = self._run(number, Manner("trial"), {}, few)
        return Manner(why, "files" if _agree(without_processes, with_processes) else "processes")

    def _run(
        self, number: int, manner: Manner, candidate: Mapping[str, str], limits: Limits, record: bool = False
    ) -> RawRun:
        files = {path: messages.to_text(text.encode("utf-8", "surrogatepass")) for path, text in candidate.items()}
        request = {
            "op": "together" if manner.together else "split",
            "number": number,
            "candidate": files,
            "profile": manner.profile,
            "record": record,
        }
        raw = self.server.run(request, limits)
        return self.server.run(request, limits) if raw.was_killed(limits) else raw

    def _drop(self, number: int) -> None:
        self.server.ask({"op": "drop", "number": number})
        remove(self._folder(number))

    def _folder(self, number: int) -> Path:
        return self.server.folder / str(number)


def _agree(one: RawRun, other: RawRun) -> bool:
    """Whether two runs of the same code went the same way, as far as both went."""
    ways = [
        [
            (event.id, event.when, event.outcome, _RAISED.findall(event.text))
            for event in run.events
            if isinstance(event, Report)
        ]
        for run in (one, other)
    ]
    if all(run.events and isinstance(run.events[-1], Finished) for run in (one, other)):
        return ways[0] == ways[1]
    return all(a == b for a, b in zip(*ways, strict=False))


def _stamp(path: str) -> tuple[int, ...]:
    """Changes when the file does."""
    try:
        facts = os.lstat(path)
    except OSError as error:
        raise InfrastructureError(f"The pristine file {path} cannot be read: {error}.") from error
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
