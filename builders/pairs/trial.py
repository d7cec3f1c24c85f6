"""Run an action in a copy of a state's workspace, and the task's tests after it where it writes (``--verify``)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from builders.history import History
from builders.tasks import Tasks
from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol.actions import Action, ToolCall
from pytest_repoagent.testrun.base import Job, Limits, Runner
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.workspace import Refused, Workspace

_TOOLS = {tool.spec.name: tool for tool in BUILT_IN}


@dataclass(frozen=True)
class Outcome:
    """What came of an action: why the tool refused it, and whether the tests passed; None where neither was seen."""

    refused: str | None = None
    tests: bool | None = None


class Trial:
    """Tries actions out; the same files of the same task are tested once."""

    def __init__(self, tasks: Tasks, runner: Runner) -> None:
        """Take the runner; whoever made it closes it."""
        self._tasks = tasks
        self._runner = runner
        self._verdicts: dict[tuple[str, tuple[tuple[str, str], ...]], bool] = {}

    def run(self, task_id: str, history: History, action: Action) -> Outcome:
        """Do at a state what ``action`` asks for.

        Args:
            task_id: whose pristine files the workspace starts from.
            history: what the state's prompt shows; its writes are made again.
            action: a final, or a call of a built-in tool.

        Raises:
            UsageError: the task or the tool is unknown.
            InfrastructureError: the tests could not be run.
        """
        if not isinstance(action, ToolCall):
            return Outcome()
        task, source = self._tasks.get(task_id)
        files = source.files(task)
        workspace = Workspace(files.root, files.paths, task.editable)
        if action.name not in _TOOLS:
            raise UsageError(f"--verify cannot run {action.name}, which is no built-in tool")
        for call in history.calls:
            if call.name == "write_file":
                with suppress(Refused):  # refused then too, where the window hid that
                    _TOOLS[call.name].run(workspace, call.args)
        try:
            _TOOLS[action.name].run(workspace, action.args)
        except Refused as refused:
            return Outcome(refused=refused.code)
        if action.name != "write_file":
            return Outcome()
        candidate = workspace.candidate()
        key = (task_id, tuple(sorted(candidate.items())))
        if key not in self._verdicts:
            job = Job(
                root=files.root,
                paths=files.paths,
                candidate=candidate,
                command=task.command,
                expected_passed=task.expected_tests.passed,
                expected_skipped=task.expected_tests.skipped,
                limits=Limits(),
                editable=task.editable,
            )
            self._verdicts[key] = self._runner.run(job).passed
        return Outcome(tests=self._verdicts[key])
