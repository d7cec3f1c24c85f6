"""Making runs: a worker for the candidate, a judge for the tests, and the barriers around both.

What a run reports goes from the judge to the driver and is never in this process: its forks become the next
candidates, which could search their memory for what was expected of the last one.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import pkgutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn, get_args

from pytest_repoagent.testrun.sandbox import selftest
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
from pytest_repoagent.testrun.sandbox.seccomp import Profile
from pytest_repoagent.testrun.split.worker import Worker
from pytest_repoagent.testrun.warm import libraries, messages, orphans
from pytest_repoagent.testrun.warm.fork import NOTES, kill, reap, settle, spawn
from pytest_repoagent.testrun.warm.scratch import Files, Scratch
from pytest_repoagent.testrun.warm.watch import Ends, answer, read_notes, watch
from pytest_repoagent.testrun.warm.wire import Barriers, Confinements, Session, Turn

WORKER_FILES, JUDGE_FILES = 64, 256
TEMPLATE_TIMEOUT_S = 20.0
_WORKER_CONNECTION = 4


@dataclass(frozen=True)
class Bounds:
    """What the kernel bounds; see :class:`~pytest_repoagent.testrun.base.Limits`."""

    cpu_s: int
    memory_bytes: int
    file_bytes: int

    def process(self, open_files: int) -> ProcessLimits:
        """The limits of one process."""
        return ProcessLimits(self.cpu_s, self.memory_bytes, self.file_bytes, open_files)


_ANY_BOUNDS = Bounds(cpu_s=1, memory_bytes=1 << 30, file_bytes=1)


@dataclass(frozen=True)
class Tests:
    """A task's trusted side.

    Attributes:
        folder: where its pristine files are, in ``work``, without those of the program.
        program: the program's pristine files.
        args: pytest's arguments.
    """

    __test__ = False

    folder: Path
    program: Files
    args: tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """One run as the driver ordered it.

    Attributes:
        program: the program's files, the candidate's laid over the pristine ones.
        bounds: what the kernel bounds.
        nonce: stands before each report.
        pipes: the driver's pipes: reports, stdout, stderr.
        record: the program is trusted, and it is to be noted where it would not get along in a worker.
    """

    program: Files
    bounds: Bounds
    nonce: str
    pipes: Sequence[int]
    record: bool = False


@dataclass(frozen=True)
class Template:
    """A process that has collected a task's tests: its socket, and what star imports brought (module -> names)."""

    connection: socket.socket
    exports: Mapping[str, Sequence[str]]


class ChildFailed(Exception):
    """A child did not get as far as its work: a barrier did not go up, or this package has a bug."""


class Unpaired(Exception):
    """A judge has started and its worker has not; another server will start both."""


class Runs:
    """Makes one run after the other."""

    def __init__(self, control: socket.socket, layers: Layers, scratch: Path) -> None:
        """Start the pytest process.

        Args:
            control: the driver's socket; a run is abandoned when it closes.
            layers: what every child is kept in.
            scratch: a folder for the runs to take place in.
        """
        self.scratch = Scratch(str(scratch))
        settle(self.scratch.work, f"{scratch}/none")  # for all workers
        pkgutil.get_importer(self.scratch.work)
        faulthandler.enable()
        self._worker = Worker(self.scratch.work)
        self._confinements = Confinements()
        self._control = control
        self._layers = layers
        # The package brings corrected programs along.
        own = Path(__file__).resolve().parents[2]
        self._readable, self._names = libraries.readable(own), libraries.around(own)
        read = (*self._readable, self.scratch.work)
        self._of_worker = Barriers(layers, "pure", _ANY_BOUNDS.process(WORKER_FILES), read, names=self._names)
        self._null = os.open(os.devnull, os.O_RDWR)
        self._warm_up()
        self._pytest, other = socket.socketpair()
        with other:
            self._pytest_pid = spawn([self._null, self._null, 2, 2, other.fileno()], _become_pytest_process)

    def _warm_up(self) -> None:
        """Do once what every fork would do again."""
        for profile in get_args(Profile):
            Confinement(self._layers, profile, _ANY_BOUNDS.process(JUDGE_FILES), (), ()).close()
        gc.collect()
        gc.freeze()

    def wait_for_pytest(self) -> None:
        """Until pytest is imported.

        Raises:
            messages.Closed: it cannot be.
        """
        messages.receive(self._pytest)

    def self_test(self, canary: str) -> list[str]:
        """The barriers that a worker gets through; ``canary`` is a file that it must not see."""
        self.scratch.refill({})
        confinement = self._confinements.get(self._worker_barriers(Bounds(5, 1 << 30, 1 << 20)))
        return selftest.run(self._layers, confinement.enter, canary)

    def template(self, tests: Tests, bounds: Bounds) -> Template | None:
        """A process that has collected the tests, where they can be collected apart from the program."""
        null = (self._null, self._null, self._null)
        order = Order(tests.program, bounds, "", null, record=True)
        self.scratch.refill(order.program)
        here, there = socket.socketpair()
        judge_end, worker_end = socket.socketpair()
        notes, notes_end = os.pipe()
        with there, judge_end, worker_end:
            pid = self._spawn_worker(order, worker_end, notes_end)
            session = self._session(tests, order, None)
            fds = [*null, notes_end, there.fileno(), judge_end.fileno()]
            messages.send(self._pytest, {"op": "template", "session": session.dump()}, fds)
        try:
            os.close(notes_end)
            said = answer(self._control, here, TEMPLATE_TIMEOUT_S)
            if said is None:
                here.close()
                self._raise_failures(read_notes(notes))
                return None
        finally:
            os.close(notes)
            kill(pid)
            reap(pid)
        return Template(here, said["exports"])

    def split(self, tests: Tests, order: Order, template: Template, anew: bool = False) -> Ends:
        """Run the tests in one process, forked from a template or collecting ``anew``, and the program in another."""
        self.scratch.refill(order.program)
        judges = self._pytest if anew else template.connection
        judge_end, worker_end = socket.socketpair()
        notes, notes_end = os.pipe()
        with judge_end, worker_end:
            fds = [*self._judge_fds(order, notes_end), judge_end.fileno()]
            if anew:
                session = self._session(tests, order, template.exports)
                messages.send(judges, {"op": "run", "session": session.dump()}, fds)
            else:
                turn = Turn(order.nonce, _sources(order.program), order.bounds.process(JUDGE_FILES))
                messages.send(judges, turn.dump(), fds)
            try:
                pid = self._spawn_worker(order, worker_end, notes_end)
            except OSError as error:
                raise Unpaired from error
        os.close(notes_end)
        return self._finish(judges, pid, notes)

    def together(self, tests: Tests, order: Order, profile: Profile) -> Ends:
        """Run tests and program in one process."""
        self.scratch.refill(order.program, tests.folder / "work")
        notes, notes_end = os.pipe()
        read = libraries.interpreter() if profile == "processes" else ()
        barriers = replace(self._judge_barriers(order.bounds, read, (self.scratch.folder,)), profile=profile)
        work, home = self.scratch.work, self.scratch.home
        session = Session(work, home, tests.args, order.nonce, False, {}, (), None, barriers)
        messages.send(self._pytest, {"op": "run", "session": session.dump()}, self._judge_fds(order, notes_end))
        os.close(notes_end)
        return self._finish(self._pytest, None, notes)

    def _session(self, tests: Tests, order: Order, exports: Mapping[str, Sequence[str]] | None) -> Session:
        barriers = self._judge_barriers(order.bounds, (str(tests.folder),), (self.scratch.home,))
        return Session(
            work=str(tests.folder / "work"),
            home=self.scratch.home,
            args=tests.args,
            nonce=order.nonce,
            split=True,
            program=_sources(order.program),
            importable=tuple(tests.program),
            exports=exports,
            barriers=barriers,
        )

    def _judge_barriers(self, bounds: Bounds, read: tuple[str, ...], write: tuple[str, ...]) -> Barriers:
        return Barriers(
            self._layers, "files", bounds.process(JUDGE_FILES), (*self._readable, *read), write, self._names
        )

    def _worker_barriers(self, bounds: Bounds) -> Barriers:
        limits = bounds.process(WORKER_FILES)
        if limits != self._of_worker.limits:
            self._of_worker = replace(self._of_worker, limits=limits)
        return self._of_worker

    def _judge_fds(self, order: Order, notes: int) -> list[int]:
        channel, stdout, stderr = order.pipes
        return [self._null, stdout, stderr, notes, channel]

    def _spawn_worker(self, order: Order, connection: socket.socket, notes: int) -> int:
        _, stdout, stderr = order.pipes
        fds = [self._null, stdout, stderr, notes, connection.fileno()]
        confinement = self._confinements.get(self._worker_barriers(order.bounds))
        return spawn(fds, partial(self._become_worker, order, confinement), confinement.fileno())

    def _become_worker(self, order: Order, confinement: Confinement) -> NoReturn:
        confinement.enter()
        os.close(NOTES)
        self._worker.attend(socket.socket(fileno=_WORKER_CONNECTION), [self.scratch.work], order.record)

    def _finish(self, judges: socket.socket, worker_pid: int | None, notes: int) -> Ends:
        try:
            ends = watch(self._control, judges, worker_pid, notes)
        finally:
            os.close(notes)
        orphans.bury(own=self._pytest_pid)
        self._raise_failures(ends.notes)
        return ends

    def _raise_failures(self, notes: list[list[str]]) -> None:
        for kind, text in notes:
            if kind == "failed":
                raise ChildFailed(text)


def _sources(program: Files) -> dict[str, str]:
    return {path: data.decode("utf-8", "replace") for path, data in program.items()}


def _become_pytest_process() -> NoReturn:
    from pytest_repoagent.testrun.warm import pytest_process

    pytest_process.serve(socket.socket(fileno=4))
