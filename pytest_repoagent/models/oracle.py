"""``oracle``: the positive control. It is told the known fix and does everything else as a model should.

A run of it shows that tools, tests and judging work: whatever it fails is not the model's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.models.base import Conversation, Model, ModelContext, RolloutKey
from pytest_repoagent.models.plan import Plan, PlannedConversation
from pytest_repoagent.protocol.actions import Change, Final, ToolCall


def create(name: str, context: ModelContext) -> Model:
    """Build the model.

    Raises:
        ModelConfigError: something follows ``oracle:``.
    """
    if name:
        raise ModelConfigError(f"Model 'oracle:{name}' is unknown; write --model=oracle, which takes no name.")
    return _Oracle(context.known_fix)


class _Oracle:
    def __init__(self, known_fix: Callable[[str], Mapping[str, str]]) -> None:
        self._known_fix = known_fix

    def check(self) -> None:
        """Nothing can be checked before there is a task."""

    def start(self, key: RolloutKey) -> Conversation:
        """Open the conversation of a task.

        Raises:
            SourceError: no fix of the task is known.
        """
        fix = self._known_fix(key.task_id)
        return PlannedConversation(lambda goal: _actions(fix))


def _actions(fix: Mapping[str, str]) -> Plan:
    yield ToolCall("list_files", {"rel_dir": ".", "max_files": 200})
    for path in fix:
        yield ToolCall("read_file", {"rel_path": path, "max_chars": 40_000})
    for path, content in fix.items():
        yield ToolCall("write_file", {"rel_path": path, "content": content})
    changes = tuple(Change(path=path, description="the known fix") for path in fix)
    return Final("The known fix was written.", changes)
