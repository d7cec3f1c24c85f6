"""A folder in QuixBugs' layout: buggy and corrected programs side by side, with pytest tests and JSON test data.

::

    conftest.py
    python_programs/NAME.py            the buggy program
    correct_python_programs/NAME.py    its corrected twin, which no workspace ever contains
    python_testcases/test_NAME.py
    json_testcases/NAME.json
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import TaskFiles
from pytest_repoagent.suites import Suite, Task

PROGRAMS = "python_programs/"
CORRECT = "correct_python_programs/"


class BugFolder:
    """Serves tasks out of such a folder."""

    def __init__(self, root: Path, suite: Suite) -> None:
        """Check the files of every task.

        Raises:
            SourceError: a file is missing, is not a regular file, or is not the one that the suite pins.
        """
        self._root = root
        self._suite = suite
        pinned: set[tuple[str, str]] = set()
        for task in suite.tasks:
            if not task.files:
                raise SourceError(f"{suite.path}: task {task.task_id} names no files, which {suite.source} needs")
            pinned |= set(task.files.items())
        for path, sha256 in sorted(pinned):
            read_pinned(root, path, sha256, suite)

    def files(self, task: Task) -> TaskFiles:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        return TaskFiles(self._root, tuple(sorted(task.files)))

    def fix(self, task: Task) -> Mapping[str, str]:
        """See :class:`~pytest_repoagent.sources.base.Source`."""
        if not task.fix:
            raise SourceError(f"{self._suite.path}: task {task.task_id} has no known fix")
        return {
            path: read_pinned(self._root, correct_path(path), sha256, self._suite).decode()
            for path, sha256 in task.fix.items()
        }


def correct_path(program: str) -> str:
    """Where the folder keeps the corrected twin of the workspace file ``program``."""
    return CORRECT + program.removeprefix(PROGRAMS)


def read_pinned(root: Path, path: str, sha256: str, suite: Suite) -> bytes:
    """The bytes of a regular file below ``root``.

    Raises:
        SourceError: it is missing, lies outside ``root``, or its hash is another than ``sha256``.
    """
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()) or not file.is_file():
        raise SourceError(f"{file} is no file, but suite {suite.name} needs it")
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        at = f" at commit {suite.commit}" if suite.commit else ""
        raise SourceError(
            f"{file} has sha256 {found[:12]}, but suite {suite.name} pins {sha256[:12]}: restore the original{at}"
        )
    return content
