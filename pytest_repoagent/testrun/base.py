"""The interface of test runners: pristine tests plus candidate files in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True)
class Limits:
    """Bounds on one test run.

    Attributes:
        cpu_s: CPU seconds of the whole run; wall time is only a backstop at ``3 * cpu_s + 5``.
        memory_bytes: address space of each process.
        file_bytes: size of any file it writes.
        output_bytes: what is read of its output before it is killed.
    """

    cpu_s: float = 10.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 8 << 20
    output_bytes: int = 4 << 20


@dataclass(frozen=True)
class Job:
    """One test run.

    Attributes:
        root: folder that holds the pristine files; never written to.
        paths: the pristine files to copy, relative to ``root``.
        candidate: relative path -> text, laid over the pristine files (new files allowed).
        command: ``("python", "-m", "pytest", ...)``; ``python`` is this interpreter, another one may be named.
        expected_passed: how many tests pass on the corrected program.
        expected_skipped: how many are skipped on the corrected program.
        limits: the bounds.
    """

    root: Path
    paths: tuple[str, ...]
    candidate: Mapping[str, str]
    command: tuple[str, ...]
    expected_passed: int
    expected_skipped: int = 0
    limits: Limits = Limits()


@dataclass(frozen=True)
class TestOutcome:
    """One test's end. ``detail`` is its failure text, without machine paths and object addresses."""

    __test__ = False

    test_id: str
    outcome: Literal["passed", "failed", "skipped", "error"]
    detail: str = ""


Reason = Literal["passed", "failed", "timed_out", "collection_error", "crashed", "incomplete", "output_limit"]


@dataclass(frozen=True)
class Verdict:
    """What a test run showed.

    Attributes:
        passed: every expected test was reported passed exactly once, no other outcome than the expected skips,
            and the run ended normally.
        reason: ``passed``, or why not; ``incomplete`` is a run that ended early or reported too few tests.
        counts: outcome -> number of tests.
        tests: the tests in the order they ended.
        text: what the model is shown, clipped head and tail with the first failure kept; the same code gives
            the same text (no times, no temporary paths, no addresses).
        duration_s: wall seconds.
        cpu_s: CPU seconds of the run and its children.
        runner: which runner judged.
    """

    passed: bool
    reason: Reason
    counts: Mapping[str, int]
    tests: tuple[TestOutcome, ...]
    text: str
    duration_s: float
    cpu_s: float
    runner: str


class Runner(Protocol):
    """Judges candidate files. One per worker process; used by one thread at a time."""

    name: str

    def run(self, job: Job) -> Verdict:
        """Run the job.

        Raises:
            InfrastructureError: the run could not be made or judged; never a statement about the candidate.
        """
        ...

    def close(self) -> None:
        """Stop whatever it keeps running."""
        ...
