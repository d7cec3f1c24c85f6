"""Several test runners at work: one a thread, each job's result in the order of the jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from pytest_repoagent.testrun.base import Job, Runner, Verdict


class Workers:
    """A context: leaving it waits for the test runs under way, and stops the runners."""

    def __init__(self, make: Callable[[], Runner], jobs: int) -> None:
        """Take ``jobs`` threads; a runner is made when a thread first needs one."""
        self._make = make
        self._local = threading.local()
        self._runners: list[Runner] = []
        self._pool = ThreadPoolExecutor(jobs, "test-runs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        for runner in self._runners:
            runner.close()

    def run(self, jobs: Sequence[Job]) -> Iterator[Verdict]:
        """The verdicts in the order of the jobs.

        Raises:
            UsageError: the runner cannot be used.
            InfrastructureError: a run could not be made.
        """
        return self._pool.map(self._run, jobs)

    def _run(self, job: Job) -> Verdict:
        if not hasattr(self._local, "runner"):
            self._local.runner = self._make()
            self._runners.append(self._local.runner)
        runner: Runner = self._local.runner
        return runner.run(job)
