"""The tasks that rollouts were recorded at: their files, tests and known fixes, by task id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_repoagent import bundled
from pytest_repoagent.errors import UsageError
from pytest_repoagent.registry import Registry
from pytest_repoagent.sources.base import Source
from pytest_repoagent.suites import Suite, Task, find_suite, load_suite


class Tasks:
    """The tasks of train suites: the bundled ones and those that were named. Sources are opened when first needed."""

    def __init__(self, suites: Sequence[str], quixbugs: str | None, registry: Registry) -> None:
        """Read the suites; of two with the same task, a named one counts.

        Raises:
            SuiteError: there is no such suite, or it is wrong.
        """
        folder = bundled.suites_dir()
        paths = [*sorted(folder.glob("*.json")), *(find_suite(name, [folder]) for name in suites)]
        train = [suite for suite in map(load_suite, paths) if suite.split == "train"]
        self._found = {task.task_id: (suite, task) for suite in train for task in suite.tasks}
        self._sources: dict[str, Source] = {}
        self._quixbugs, self._registry = quixbugs, registry

    def get(self, task_id: str) -> tuple[Task, Source]:
        """A task, and the source of its files.

        Raises:
            UsageError: no train suite has it, or its source cannot be had.
        """
        if task_id not in self._found:
            raise UsageError(f"no train suite has the task {task_id}: name its suite with --suite")
        suite, task = self._found[task_id]
        return task, self._source(suite)

    def known_fix(self, task_id: str) -> Mapping[str, str]:
        """Workspace path -> corrected text.

        Raises:
            UsageError: as :meth:`get`, or no fix is known.
        """
        task, source = self.get(task_id)
        return source.fix(task)

    def _source(self, suite: Suite) -> Source:
        if suite.sha256 not in self._sources:
            self._sources[suite.sha256] = self._registry.source(suite, self._quixbugs)
        return self._sources[suite.sha256]
