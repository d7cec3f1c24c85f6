"""The processes that have pytest in them: one that imports it, and its forks.

A *template* has collected one task's tests, with proxies where they import the program. Forked from it, a *judge*
runs them against one candidate's worker. Where a candidate answers otherwise at import than the pristine program did,
the tests are collected anew, and where tests cannot be split from their program, both run in one process: these are
forked from the pytest process itself.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import socket
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import pytest
from _pytest.config import default_plugins

from pytest_repoagent.testrun.child import Reporter, run_pytest
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.split.proxies import Bridge
from pytest_repoagent.testrun.warm import messages
from pytest_repoagent.testrun.warm.fork import NOTES, Noted, fork, note, reap, settle, spawn
from pytest_repoagent.testrun.warm.plain_tests import FRAMES_LEFT_OUT, PlainTests, are_plain
from pytest_repoagent.testrun.warm.wire import Confinements, Session, Turn

CHANNEL, WORKER = 4, 5
_TEMPLATE_CONNECTION = CHANNEL
# Before the task's own arguments. Capturing file descriptors takes files; nothing but the tests writes in a judge.
_FIRST_ARGS = ("--capture=sys",)


def serve(connection: socket.socket) -> NoReturn:
    """Make templates and run sessions that need none, until the server is gone."""
    for plugin in default_plugins:
        importlib.import_module(f"_pytest.{plugin}")
    _warm_up()
    messages.send(connection, {})
    confinements = Confinements()
    while True:
        request, fds = _next(connection)
        session = Session.load(request["session"])
        if request["op"] == "template":
            spawn(fds, partial(_template, session))
            messages.close(fds)
        else:
            confinement = confinements.get(session.barriers)
            pid = spawn(fds, partial(_judge, session, confinement), confinement.fileno())
            _answer(connection, pid, fds)
        _bury_ended_templates()


def _warm_up() -> None:
    """Do once what every fork would do again."""
    inspect.getmodule(_warm_up.__code__.replace(co_filename="<none>"))  # remembers where each module's source is
    gc.collect()
    gc.freeze()


def _next(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    try:
        return messages.receive(connection)
    except messages.Closed:
        os._exit(0)


def _answer(connection: socket.socket, pid: int, fds: list[int]) -> None:
    """Say who the child is, then how it ended."""
    messages.close(fds)
    messages.send(connection, {"pid": pid})
    messages.send(connection, reap(pid))


def _bury_ended_templates() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _judge(session: Session, confinement: Confinement) -> NoReturn:
    """Collect and run the tests, with a worker that holds the program or with the program in this process."""
    settle(session.work, session.home)
    confinement.enter()
    reporter = Reporter()
    reporter.attach(CHANNEL, session.nonce)
    if session.split:
        run_pytest([*_FIRST_ARGS, *session.args], reporter, [_Notes(_connect(session))])
    os.close(NOTES)
    run_pytest(session.args, reporter)


def _template(session: Session) -> NoReturn:
    settle(session.work, session.home)
    reporter = Reporter()
    connection = socket.socket(fileno=_TEMPLATE_CONNECTION)
    collected = _Collected(connection, _connect(session), reporter, session)
    run_pytest([*_FIRST_ARGS, *session.args], reporter, [collected])


def _connect(session: Session) -> Bridge:
    bridge = Bridge(session.work, session.program, session.importable, session.exports)
    bridge.install()
    bridge.connect(socket.socket(fileno=WORKER))
    return bridge


class _Notes:
    """A pytest plugin that tells the server what tests and program would have shared."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            self.write()

    def write(self) -> None:
        for reason in self._bridge.unservable:
            note("unservable", reason)
        if self._bridge.wanted:
            note("wanted", self._bridge.wanted)


class _Collected:
    """A pytest plugin that halts a session between collection and the tests, and forks it for each run."""

    def __init__(self, connection: socket.socket, bridge: Bridge, reporter: Reporter, session: Session) -> None:
        self._connection = connection
        self._bridge = bridge
        self._reporter = reporter
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Each fork goes on and runs the tests; the template itself stays here until the server drops it."""
        if session.testsfailed:
            os._exit(1)
        _silence(session.config.pluginmanager)
        if _warnings_are_errors(session):
            self._bridge.refused(["warnings are errors"])
        self._bridge.disconnect()
        self._bridge.drop_notes()
        messages.send(self._connection, {"exports": self._bridge.exports})
        if are_plain(session, self._session.args):
            self._bridge.frames_missing += FRAMES_LEFT_OUT
            PlainTests(session, self._reporter).run(self._become_judge, self.pytest_sessionfinish)
        self._become_judge()
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> NoReturn:
        """The session's own end belongs to no verdict, and tearing pytest down costs more than the tests."""
        _Notes(self._bridge).write()
        self._reporter.send("finished")
        self._bridge.disconnect()  # so that the worker ends while this process does
        os._exit(0)

    def _become_judge(self) -> None:
        _warm_up()
        known = list(self._bridge.unservable)
        confinements, barriers = Confinements(), self._session.barriers
        while True:
            request, fds = _next(self._connection)
            turn = Turn.load(request)
            if turn.limits != barriers.limits:
                barriers = replace(barriers, limits=turn.limits)
            confinement = confinements.get(barriers)
            pid = fork(fds, confinement.fileno())
            if pid == 0:
                self._connection.detach()  # its file descriptor is the report channel now
                with Noted():
                    self._prepare(turn, confinement, known)
                return
            _answer(self._connection, pid, fds)

    def _prepare(self, turn: Turn, confinement: Confinement, known: list[str]) -> None:
        confinement.enter()
        self._bridge.unservable[:], self._bridge.wanted = known, ""  # what the fork and this did is no test's doing
        greeting = Reporter()
        greeting.attach(CHANNEL, turn.nonce)
        greeting.send("hello")  # the candidate may end its process when it is imported
        if not self._bridge.resume(socket.socket(fileno=WORKER), turn.program):
            note("stale")
            os._exit(0)
        self._reporter.attach(CHANNEL, turn.nonce)


class _Silent:
    """Stands in for the terminal reporter, whose work nobody would see, where others ask for it."""

    def __init__(self, reporter: object) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)


def _warnings_are_errors(session: pytest.Session) -> bool:
    config = session.config
    filters = [*config.getini("filterwarnings"), *(config.known_args_namespace.pythonwarnings or ())]
    for item in session.items:
        filters += [wanted for mark in item.iter_markers("filterwarnings") for wanted in mark.args]
    return any(str(wanted).startswith("error") for wanted in filters)


def _silence(plugins: pytest.PytestPluginManager) -> None:
    name = "terminalreporter"
    plugins.register(_Silent(plugins.unregister(name=name)), name)
