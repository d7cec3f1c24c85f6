"""Tasks and suites: which bugs there are, which tests judge them, and on which side of the split they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectedTests(_Strict):
    """What the task's tests do on the corrected program: the proof a pass needs."""

    passed: int = Field(ge=1)
    skipped: int = Field(default=0, ge=0)


class Metadata(_Strict):
    """Facts about the bug, for stratified splits and grouped results."""

    difficulty: Literal["easy", "medium", "hard"]
    category: str
    defect_class: str


class Task(_Strict):
    """One buggy program with the tests that judge it.

    Attributes:
        task_id: ``source/name``.
        family: tasks of one family are never on both sides of a split.
        goal: what the model is told; must name the program and its tests.
        command: the test command, ``python -m pytest ...``.
        files: every file of the task's workspace -> sha256 of its pristine content. Empty for a source that pins
            content otherwise (a git commit).
        editable: path prefixes whose files count when the agent writes them; anything else it writes is recorded
            and ignored by the judge.
        expected_files: the files the known fix changes.
        fix: workspace path -> sha256 of its corrected content; empty where no fix is known.
        expected_tests: counts on the corrected program.
        metadata: see :class:`Metadata`.
    """

    task_id: str = Field(pattern=r"^[a-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    family: str
    goal: str
    command: tuple[str, ...] = Field(min_length=1)
    files: dict[str, Sha256] = Field(default_factory=dict)
    editable: tuple[str, ...] = Field(min_length=1)
    expected_files: tuple[str, ...] = Field(min_length=1)
    fix: dict[str, Sha256] = Field(default_factory=dict)
    expected_tests: ExpectedTests
    metadata: Metadata

    @property
    def name(self) -> str:
        """The short name: ``gcd`` for ``quixbugs/gcd``."""
        return self.task_id.partition("/")[2]
