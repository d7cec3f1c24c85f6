"""Tasks that are a corrected program of another task with one line changed: only the change is in the suite.

The corrected program is the folder's own, except for what follows its code. There QuixBugs keeps other solutions, and
beside the buggy program the description; a mutant has the description.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from pathlib import Path

from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import Source, SourceContext, TaskFiles
from pytest_repoagent.sources.bug_folder import BugFolder, correct_path, read_pinned
from pytest_repoagent.sources.git import make_once
from pytest_repoagent.suites import Task


def open_folder(root: Path, context: SourceContext) -> Source:
    """The source of a suite whose files lie in a folder in QuixBugs' layout.

    Raises:
        SourceError: a file is missing, or is not the one that the suite pins.
    """
    return MutantFolder(root, context) if context.suite.mutated_from else BugFolder(root, context.suite)


class MutantFolder:
    """Serves such tasks; a task's files are written to the cache when they are first asked for."""

    def __init__(self, root: Path, context: SourceContext) -> None:
        """Make every task's program and check it, and the files beside it.

        Raises:
            SourceError: a file is missing, or what comes out is not what the suite pins.
        """
        self._root, self._suite, self._cache_dir = root, context.suite, context.cache_dir
        self._originals: dict[str, str] = {}
        for path, sha256 in sorted({pin for task in self._suite.tasks for pin in _beside(task).items()}):
            read_pinned(root, path, sha256, self._suite)
        for task in self._suite.tasks:
            path = task.expected_files[0]
            self._check(task, path, self._mutant(task), task.files[path])
            self._check(task, path, self._original(path), task.fix[path])

    def files(self, task: Task) -> TaskFiles:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        folder = self._cache_dir / "mutants" / canonical_sha256(task.files)
        make_once(folder, lambda unfinished: self._write(task, unfinished))
        for path, sha256 in task.files.items():
            if not (folder / path).is_file() or _sha256((folder / path).read_bytes()) != sha256:
                raise SourceError(f"{folder / path} is not as {task.task_id} has it: delete the folder {folder}")
        return TaskFiles(folder, tuple(sorted(task.files)))

    def fix(self, task: Task) -> Mapping[str, str]:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        return {path: self._original(path) for path in task.fix}

    def _original(self, path: str) -> str:
        if path not in self._originals:
            try:
                self._originals[path] = original(self._text(correct_path(path)), self._text(path))
            except (SyntaxError, ValueError):
                raise self._strange(path) from None
        return self._originals[path]

    def _text(self, path: str) -> str:
        if not (self._root / path).is_file():
            raise SourceError(f"{self._root / path} is no file, but suite {self._suite.name} needs it")
        return (self._root / path).read_bytes().decode()

    def _mutant(self, task: Task) -> str:
        assert task.mutation is not None
        return mutant(self._original(task.expected_files[0]), task.mutation.line, task.mutation.new)

    def _check(self, task: Task, path: str, text: str, sha256: str) -> None:
        if _sha256(text.encode()) != sha256:
            raise self._strange(path, f" for {task.task_id}")

    def _strange(self, path: str, whose: str = "") -> SourceError:
        at = f" at commit {self._suite.commit}" if self._suite.commit else ""
        return SourceError(
            f"{self._root / path} and its corrected version do not give the program that suite {self._suite.name} "
            f"pins{whose}: restore the originals{at}, or make the suite again"
        )

    def _write(self, task: Task, folder: Path) -> None:
        for path in task.files:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            is_program = path in task.fix
            target.write_bytes(self._mutant(task).encode() if is_program else (self._root / path).read_bytes())


def original(correct: str, buggy: str) -> str:
    """The corrected program that mutants are made of: the code of the one, and what follows the code in the other."""
    code, text = lines_of(correct), lines_of(buggy)
    head = "".join(code[: _code_lines(correct)])
    return (head if head.endswith("\n") else head + "\n") + "".join(text[_code_lines(buggy) :])


def mutant(source: str, line: int, new: str | None) -> str:
    """The text with line number ``line`` replaced, or without it where ``new`` is None."""
    lines = lines_of(source)
    for old in lines[line - 1 : line]:
        end = old[len(old.rstrip("\r\n")) :]
        lines[line - 1 : line] = [] if new is None else [new + end]
    return "".join(lines)


def lines_of(text: str) -> list[str]:
    """The lines with their ends; a line ends where Python's own parser ends it."""
    return [line.decode() for line in text.encode().splitlines(keepends=True)]


def _code_lines(text: str) -> int:
    """How many lines there are up to the end of the last statement that is no bare string."""
    code = [s for s in ast.parse(text).body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return (code[-1].end_lineno or 0) if code else 0


def _beside(task: Task) -> dict[str, str]:
    return {path: sha256 for path, sha256 in task.files.items() if path not in task.fix}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
