"""The server: carries out the driver's requests, one at a time.

It never imports pytest or anything of a task, so that its forks are cheap and know nothing. A reply is
``{"error": ...}`` or what the request is documented to give. The server ends when the driver does, and whenever
something happens that it does not understand: the driver then starts another one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.warm import messages, orphans
from pytest_repoagent.testrun.warm.fork import reset_handlers
from pytest_repoagent.testrun.warm.runs import Bounds, ChildFailed, Order, Runs, Template, Tests
from pytest_repoagent.testrun.warm.scratch import Files
from pytest_repoagent.testrun.warm.watch import DriverGone, Ends


@dataclass(frozen=True)
class Task:
    """A task's tests, and their template where they have one."""

    tests: Tests
    template: Template | None


class Server:
    """Knows the driver's tasks by number."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._tasks: dict[int, Task] = {}

    def answer(self, request: Mapping[str, Any], pipes: Sequence[int]) -> Mapping[str, Any]:
        """Carry out a request.

        ``task``: ``folder``, ``program``, ``args`` and ``bounds`` of a new task; gives whether it is ``prepared`` for
        split runs. ``drop``: a task is not needed any more. ``split`` and ``together``: a run with ``candidate``,
        ``bounds`` and ``nonce`` (``record``, ``profile``); gives ``judge``, ``worker`` and ``notes`` as
        :class:`~.watch.Ends` has them, ``work``, where the tests were, and ``folder``, where they could write.
        """
        number = request["number"]
        if request["op"] == "drop":
            self._drop(number)
            return {}
        bounds = Bounds(**request["bounds"])
        if request["op"] == "task":
            tests = Tests(Path(request["folder"]), _files(request["program"]), tuple(request["args"]))
            self._tasks[number] = Task(tests, self._runs.template(tests, bounds) if tests.program else None)
            return {"prepared": self._tasks[number].template is not None}
        task = self._tasks[number]
        program = {**task.tests.program, **_files(request["candidate"])}
        order = Order(program, bounds, request["nonce"], pipes, request["record"])
        if request["op"] == "together":
            ends, folder = self._runs.together(task.tests, order, request["profile"]), self._runs.scratch.folder
        else:
            ends, folder = self._split(task, order), str(task.tests.folder)
        return {**vars(ends), "work": f"{folder}/work", "folder": self._runs.scratch.folder}

    def _split(self, task: Task, order: Order) -> Ends:
        """From the template, unless this program would have been collected otherwise."""
        assert task.template
        ends = self._runs.split(task.tests, order, task.template)
        return (
            ends if ["stale", ""] not in ends.notes else self._runs.split(task.tests, order, task.template, anew=True)
        )

    def _drop(self, number: int) -> None:
        template = self._tasks.pop(number).template
        if template:
            template.connection.close()


def main(control_fd: int) -> NoReturn:
    """Serve the driver behind a socket, whose first message says how."""
    control = socket.socket(fileno=control_fd)
    reset_handlers()
    orphans.adopt()
    try:
        settings, _ = messages.receive(control)
        runs = Runs(control, Layers(**settings["layers"]), Path(settings["scratch"]))
        through = runs.self_test(settings["canary"])
        runs.wait_for_pytest()
        messages.send(control, {"through": through})
        server = Server(runs)
        while True:
            request, pipes = messages.receive(control)
            if request["op"] == "cut":  # it came too late
                continue
            messages.send(control, _answer(server, request, pipes))
    except (messages.Closed, DriverGone):
        os._exit(0)


def _answer(server: Server, request: Mapping[str, Any], pipes: Sequence[int]) -> Mapping[str, Any]:
    try:
        return server.answer(request, pipes)
    except (OSError, ChildFailed) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        messages.close(pipes)


def _files(texts: Mapping[str, str]) -> Files:
    return {path: messages.to_bytes(text) for path, text in texts.items()}
