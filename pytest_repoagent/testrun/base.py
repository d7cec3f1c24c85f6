"""The interface of test runners: pristine tests plus candidate files in, a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pytest_repoagent.program_files import is_program_file


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
        editable: path prefixes of the program under test. Where given, candidate files that are no program files
            count for nothing, and a split judge shows the candidate's process program files alone; without any,
            every candidate file counts, and tests and candidate share a process.
    """

    root: Path
    paths: tuple[str, ...]
    candidate: Mapping[str, str]
    command: tuple[str, ...]
    expected_passed: int
    expected_skipped: int = 0
    limits: Limits = Limits()
    editable: tuple[str, ...] = ()

    def is_program(self, path: str) -> bool:
        """Whether a file is the program's."""
        return is_program_file(path, self.editable)

    def counted(self) -> dict[str, str]:
        """The candidate files that count."""
        return {path: text for path, text in self.candidate.items() if not self.editable or self.is_program(path)}


@dataclass(frozen=True)
class TestOutcome:
    """One test's end. ``detail`` is its failure text, without machine paths and object addresses."""

    __test__ = False

    test_id: str
    outcome: Literal["passed", "failed", "skipped", "error"]
    detail: str = ""


Judge = Literal["split", "in_process"]
SandboxMode = Literal["auto", "strict", "none"]
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
        judge: ``split`` where tests and candidate ran in processes of their own and only plain data crossed,
            ``in_process`` where they shared one, so that the candidate could have meddled with its judge.
        sandbox: what kept the candidate in: ``full``, the layers that were there joined by ``+``, or ``none``.
    """

    passed: bool
    reason: Reason
    counts: Mapping[str, int]
    tests: tuple[TestOutcome, ...]
    text: str
    duration_s: float
    cpu_s: float
    runner: str
    judge: Judge = "in_process"
    sandbox: str = "none"


class Runner(Protocol):
    """Judges candidate files. One per worker process; used by one thread at a time.

    Attributes:
        name: the word after ``--runner``.
        sandbox: as in :class:`Verdict`, for all its runs.
    """

    name: str
    sandbox: str

    def check(self) -> None:
        """Fail now where every run would fail; may start what the runs need.

        Raises:
            UsageError: this machine lacks what the runner needs, or a barrier of its sandbox does not hold.
        """
        ...

    def run(self, job: Job) -> Verdict:
        """Run the job.

        Raises:
            InfrastructureError: the run could not be made or judged; never a statement about the candidate.
        """
        ...

    def close(self) -> None:
        """Stop whatever it keeps running."""
        ...


RunnerFactory = Callable[[SandboxMode], Runner]
"""Makes a runner: with the best sandbox this machine offers (``auto``, ``strict``), or with ``none``."""
