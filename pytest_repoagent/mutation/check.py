"""Whether a suite of mutations is what it says: its tasks are their parents but for a line, and no known bugs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_repoagent.errors import SuiteError
from pytest_repoagent.mutation.gate import Gate, Known
from pytest_repoagent.mutation.operators import OPERATORS
from pytest_repoagent.sources.mutants import mutant
from pytest_repoagent.suites import Suite, Task, load_suite

_CLASSES = {operator.name: operator.defect_class for operator in OPERATORS}
_INHERITED = ("family", "command", "editable", "expected_files", "expected_tests")


def parent_of(suite: Suite, bundled: Path) -> Suite:
    """The suite whose programs were mutated, from beside the suite's file or else from the bundled ones.

    Raises:
        SuiteError: it is not there, or is another one by now.
    """
    assert suite.mutated_from is not None
    name = f"{suite.mutated_from.suite}.json"
    path = next((folder / name for folder in (suite.path.parent, bundled) if (folder / name).is_file()), None)
    if path is None:
        raise SuiteError(f"{suite.path}: mutated_from.suite names {suite.mutated_from.suite!r}, which is nowhere")
    parent = load_suite(path)
    if parent.sha256 != suite.mutated_from.sha256:
        raise SuiteError(
            f"{suite.path}: mutated_from.sha256 is {suite.mutated_from.sha256[:12]} but {path} has "
            f"{parent.sha256[:12]}: it has changed, so make the suite again with `repoagent suite mutate`"
        )
    return parent


def strange_tasks(suite: Suite, parent: Suite) -> Iterator[str]:
    """What tasks have that they cannot have from their parents."""
    for name in ("source", "commit", "split"):
        if getattr(suite, name) != getattr(parent, name):
            yield f"{suite.path}: {name} is not that of {parent.path}"
    parents = {task.task_id: task for task in parent.tasks}
    for task in suite.tasks:
        assert task.mutation is not None
        if task.mutation.parent not in parents:
            yield f"{suite.path}: {task.task_id} has the parent {task.mutation.parent}, which {parent.path} lacks"
        elif field := _strange_field(task, parents[task.mutation.parent]):
            yield f"{suite.path}: {field} of {task.task_id} is not what its parent and its mutation make it"


def known_bugs_again(suite: Suite, known: Mapping[str, Known]) -> Iterator[str]:
    """Tasks that recreate a known bug, which ``suite mutate`` would not have made."""
    gate = Gate(known.values())
    for task in suite.tasks:
        assert task.mutation is not None
        own = known.get(task.mutation.parent)
        if own is None:
            continue
        text = mutant(own.correct, task.mutation.line, task.mutation.new)
        if refusal := gate.refusal(text, task.mutation.line, own):
            yield f"{suite.path}: {task.task_id} recreates a known bug ({refusal})"


def _strange_field(task: Task, parent: Task) -> str | None:
    assert task.mutation is not None
    program = parent.expected_files[0]
    wanted = {name: getattr(parent, name) for name in _INHERITED}
    wanted["task_id"] = f"{parent.task_id}.{task.files.get(program, '')[:8]}"
    wanted["files"] = {**parent.files, program: task.files.get(program)}
    found = {name: getattr(task, name) for name in wanted}
    metadata = task.metadata.category, task.metadata.defect_class
    if metadata != (parent.metadata.category, _CLASSES.get(task.mutation.operator)):
        return "metadata"
    return next((name for name, value in wanted.items() if found[name] != value), None)
