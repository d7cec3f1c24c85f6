"""Keeps the bugs that are known already out of new suites, those of held-out tasks above all."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from pytest_repoagent.errors import SuiteError
from pytest_repoagent.models.edits.meaning import meaning
from pytest_repoagent.models.edits.program import Program, is_docstring
from pytest_repoagent.sources.base import Source
from pytest_repoagent.sources.mutants import lines_of, original
from pytest_repoagent.suites import Suite, load_suite

Refusal = Literal["known_program", "heldout_edit", "known_site"]
Edit = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Known:
    """A program with its known bug.

    Attributes:
        correct: the program without the bug.
        buggy: the program with it.
        heldout: whether its task is held out.
    """

    correct: str
    buggy: str
    heldout: bool


def master_of(side: Suite) -> Suite:
    """The suite that one side of a split comes from.

    Raises:
        SuiteError: it is no side of a split.
    """
    if side.derived_from is None:
        raise SuiteError(f"{side.path} was not split from a master, so what must be held out is not known")
    return load_suite(side.path.with_name(f"{side.derived_from.suite}.json"))


def known_bugs(master: Suite, source: Source, side: Suite) -> dict[str, Known]:
    """Both versions of every program of a master, by task id.

    Args:
        master: the suite that was split.
        source: serves its tasks.
        side: one side of the split; what is not on it is on the other.

    Raises:
        SuiteError: a task's fix is not one file.
        SourceError: a task has no known fix.
    """
    ours = {task.task_id for task in side.tasks}
    known = {}
    for task in master.tasks:
        if len(task.expected_files) != 1:
            raise SuiteError(f"{master.path}: task {task.task_id} expects a change to more than one file")
        path = task.expected_files[0]
        buggy = (source.files(task).root / path).read_bytes().decode()
        heldout = (task.task_id in ours) == (side.split == "heldout")
        known[task.task_id] = Known(original(source.fix(task)[path], buggy), buggy, heldout)
    return known


class Gate:
    """Refuses mutants that recreate a known bug.

    ``known_program``: the mutant is one of the known buggy programs, whatever its variables and functions are called.
    ``heldout_edit``: the same lines become the same lines as in a held-out task, in whatever program.
    ``known_site``: it is in the line of its own program's known bug; asked only of mutants of held-out programs.
    """

    def __init__(self, known: Iterable[Known]) -> None:
        known = tuple(known)
        self._programs = {fingerprint(task.buggy) for task in known}
        self._edits = {edit(task.correct, task.buggy) for task in known if task.heldout}

    def refusal(self, text: str, line: int, own: Known) -> Refusal | None:
        """Why a program that differs from ``own.correct`` in a line is refused, or None."""
        if fingerprint(text) in self._programs:
            return "known_program"
        if edit(own.correct, text) in self._edits:
            return "heldout_edit"
        if own.heldout and line in changed_lines(own.correct, own.buggy):
            return "known_site"
        return None


def fingerprint(source: str) -> str:
    """A text that is equal for programs that do the same in the same way, whatever their names, comments and texts."""
    tree = _bare(source)
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        return name if hasattr(builtins, name) else numbers.setdefault(name, f"_{len(numbers)}")

    for node in ast.walk(tree):
        match node:
            case ast.Name():
                node.id = number(node.id)
            case ast.arg():
                node.arg = number(node.arg)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                node.name = number(node.name)
    program = Program(ast.unparse(tree))
    return meaning((program.tree,), program.kinds)


def edit(before: str, after: str) -> Edit:
    """The lines that go and those that come, spelled and spaced in the one way that syntax trees are written out."""
    old, new = (ast.unparse(_bare(source)).splitlines() for source in (before, after))
    blocks = [block for block in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if block[0] != "equal"]
    gone = [line.strip() for _, i, j, _, _ in blocks for line in old[i:j]]
    come = [line.strip() for _, _, _, i, j in blocks for line in new[i:j]]
    return tuple(gone), tuple(come)


def changed_lines(before: str, after: str) -> set[int]:
    """The numbers, from 1, of the lines of ``before`` that ``after`` has not."""
    old, new = lines_of(before), lines_of(after)
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return {line for kind, i, j, _, _ in blocks if kind != "equal" for line in range(i + 1, j + 1)}


def _bare(source: str) -> ast.Module:
    """The syntax tree without docstrings and other bare strings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            vars(node)["body"] = [s for s in body if not is_docstring(s)] or [ast.Pass()]
    return tree
