"""Any git repository at one commit, with a test command: tasks written by hand, in the manner of BugsInPy.

A complete suite file, ``parcels.json``, for a bug in ``src/parcels/price.py`` that a later commit fixed::

    {
        "schema": 1,
        "name": "parcels",
        "source": "repo",
        "repo": "../parcels",
        "commit": "1f0c3a5d9b7e2468ace013579bdf02468ace1357",
        "split": "heldout",
        "tasks": [
            {
                "task_id": "parcels/rounding",
                "family": "price",
                "goal": "Prices in src/parcels/price.py are off by a cent; make tests/test_price.py pass.",
                "command": ["python", "-m", "pytest", "tests/test_price.py"],
                "editable": ["src/"],
                "expected_files": ["src/parcels/price.py"],
                "fix_commit": "2e1d4b6f8a0c9753eca86420fdb97531eca86420",
                "expected_tests": {"passed": 4},
                "metadata": {"difficulty": "easy", "category": "arithmetic", "defect_class": "rounding"},
            }
        ],
    }

``repo`` is a path, relative to the suite file, or a URL. The task's workspace is every regular file of ``commit``
(symbolic links and submodules are left out), so put the tests that show the bug into that commit. ``fix_commit``
is optional and makes the model ``oracle`` work: the corrected ``expected_files`` are read from it. ``files`` and
``fix`` may pin hashes on top; the commits pin all content anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import SourceContext, TaskFiles
from pytest_repoagent.sources.bug_folder import read_pinned
from pytest_repoagent.sources.git import Repository, blob_oid, make_once
from pytest_repoagent.suites import Task


class RepoSource:
    """Serves tasks out of one commit, its files written to the cache once and checked each time."""

    def __init__(self, context: SourceContext) -> None:
        """Get the repository and check the cached files.

        Raises:
            SourceError: the suite names no repository or commit, they cannot be had, or a file has changed.
        """
        suite = self._suite = context.suite
        if suite.repo is None or suite.commit is None:
            raise SourceError(f"{suite.path}: the source repo needs the fields repo and commit")
        commits = {suite.commit} | {task.fix_commit for task in suite.tasks if task.fix_commit}
        base = suite.path.resolve().parent
        self._repository = repository = Repository.open(suite.repo, base, sorted(commits), context.cache_dir)
        commit, folder = suite.commit, context.cache_dir / "trees" / suite.commit
        make_once(folder, lambda unfinished: repository.export(commit, unfinished))
        blobs = repository.blobs(commit)
        for blob in blobs:
            file = folder / blob.path
            if file.is_symlink() or not file.is_file() or blob_oid(file.read_bytes(), blob.oid) != blob.oid:
                raise SourceError(f"{file} is not as commit {commit} has it: delete the folder {folder}")
        for task in suite.tasks:
            for path, sha256 in task.files.items():
                read_pinned(folder, path, sha256, suite)
        self._files = TaskFiles(folder, tuple(blob.path for blob in blobs))

    def files(self, task: Task) -> TaskFiles:
        """Every regular file of the commit."""
        return self._files

    def fix(self, task: Task) -> Mapping[str, str]:
        """The expected files as the task's ``fix_commit`` has them.

        Raises:
            SourceError: the task names no ``fix_commit``, it lacks a file, or ``fix`` pins another content.
        """
        if task.fix_commit is None:
            raise SourceError(f"{self._suite.path}: task {task.task_id} has no fix_commit, so no fix is known")
        fix = {}
        for path in task.expected_files:
            content = self._repository.read(task.fix_commit, path)
            found = hashlib.sha256(content).hexdigest()
            if task.fix.get(path, found) != found:
                raise SourceError(
                    f"{path} at commit {task.fix_commit} has sha256 {found[:12]}, "
                    f"but task {task.task_id} pins {task.fix[path][:12]}"
                )
            fix[path] = content.decode()
        return fix
