"""What suite files are made of: kinds of text, and where a task that was made from another one comes from."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def clean_path(path: str) -> str:
    """``path`` itself, if it is a normalised relative POSIX path of printable characters that stays below its root.

    Raises:
        ValueError: it is not.
    """
    pure = PurePosixPath(path)
    inside = bool(pure.parts) and ".." not in pure.parts and not pure.is_absolute()
    if not inside or pure.as_posix() != path or "\\" in path or not path.isprintable():
        raise ValueError(f"{path!r} is not a clean relative path such as src/area.py")
    return path


def _clean_prefix(prefix: str) -> str:
    clean_path(prefix.removesuffix("/"))
    return prefix


def _ratio(ratio: str) -> str:
    train, slash, heldout = ratio.partition("/")
    digits = all(part.isascii() and part.isdigit() and int(part) > 0 for part in (train, heldout))
    if not slash or not digits or int(train) + int(heldout) != 100:
        raise ValueError(f"{ratio!r} is not two percentages that make 100, such as 70/30")
    return ratio


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("is not one line")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


Printable = Annotated[str, AfterValidator(_printable)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
RelPath = Annotated[str, AfterValidator(clean_path)]
Prefix = Annotated[str, AfterValidator(_clean_prefix)]
Ratio = Annotated[str, AfterValidator(_ratio)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
TaskId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Symptom = Literal["wrong_answer", "crash", "timeout"]


class Strict(BaseModel):
    """A part of a suite file: every field is known, nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mutation(Strict):
    """The one line by which a task's program differs from the corrected program of another task.

    Attributes:
        parent: that other task.
        operator: what made the change, see :mod:`pytest_repoagent.mutation.operators`.
        line: number of the line in the corrected program, from 1.
        new: what the line is in the task, without its end; None where the task lacks the line.
        symptom: how most of the failing tests fail.
        failing: how many tests that pass on the corrected program do not pass.
    """

    parent: TaskId
    operator: str
    line: int = Field(ge=1)
    new: Annotated[str, AfterValidator(_one_line)] | None = None
    symptom: Symptom
    failing: int = Field(ge=1)


class MutatedFrom(Strict):
    """How the tasks of a suite were made: out of which suite, by which seed and version of this project."""

    suite: Name
    sha256: Sha256
    seed: int
    version: str
