"""Tasks and suites: which bugs there are, which tests judge them, and on which side of the split they are.

A suite file holds its tasks itself (:class:`MasterFile`) or names some of the tasks of a master that lies beside
it (:class:`DerivedFile`). Both are pinned by :attr:`Suite.sha256`, the hash of their canonical JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import SuiteError
from pytest_repoagent.suite_fields import (
    Commit,
    MutatedFrom,
    Mutation,
    Name,
    Prefix,
    Ratio,
    RelPath,
    Sha256,
    Strict,
    TaskId,
)

Split = Literal["master", "train", "heldout"]


class ExpectedTests(Strict):
    """What the task's tests do on the corrected program: the proof a pass needs."""

    passed: int = Field(ge=1)
    skipped: int = Field(default=0, ge=0)


class Metadata(Strict):
    """Facts about the bug, for stratified splits and grouped results."""

    difficulty: Literal["easy", "medium", "hard"]
    category: str
    defect_class: str


class Task(Strict):
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
        fix_commit: for the source ``repo``, the commit that holds the corrected files.
        expected_tests: counts on the corrected program.
        metadata: see :class:`Metadata`.
        mutation: for a task of a suite that was made by ``repoagent suite mutate``.
    """

    task_id: TaskId
    family: str = Field(min_length=1)
    goal: str = Field(min_length=1)
    command: tuple[str, ...] = Field(min_length=1)
    files: dict[RelPath, Sha256] = Field(default_factory=dict)
    editable: tuple[Prefix, ...] = Field(min_length=1)
    expected_files: tuple[RelPath, ...] = Field(min_length=1)
    fix: dict[RelPath, Sha256] = Field(default_factory=dict)
    fix_commit: Commit | None = None
    expected_tests: ExpectedTests
    metadata: Metadata
    mutation: Mutation | None = None

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if self.command[1:3] != ("-m", "pytest"):
            raise ValueError("has a command other than python -m pytest ...")
        for argument in self.command[3:]:
            if not argument.startswith("-") and argument.startswith(self.editable):
                raise ValueError(f"has tests in {argument.partition('::')[0]}, which is editable")
        for path in (*self.expected_files, *self.fix):
            if not path.startswith(self.editable):
                raise ValueError(f"expects a change to {path}, which is not editable")
        programs = tuple(path for path in self.fix if path in self.files)
        if self.mutation and (len(programs) != 1 or self.expected_files != programs):
            raise ValueError("is a mutation, so expected_files, fix and files must agree on its one program")
        return self

    @property
    def name(self) -> str:
        """The short name: ``gcd`` for ``quixbugs/gcd``."""
        return self.task_id.partition("/")[2]


class Recipe(Strict):
    """How a master was split.

    Attributes:
        method: see :mod:`pytest_repoagent.split`.
        ratio: percent of tasks for training and held out, ``70/30``.
        salt: put before each family's name by ``rank``.
        seed: of the shuffle of ``seed``.
    """

    method: Literal["rank", "md5-percent", "seed"] = "rank"
    ratio: Ratio = "70/30"
    salt: str = ""
    seed: int | None = None

    @model_validator(mode="after")
    def _seed_given(self) -> Self:
        if (self.method == "seed") != (self.seed is not None):
            raise ValueError("a seed is given exactly when the method is seed")
        return self


class DerivedFrom(Recipe):
    """The master a suite was split from: its name, the hash of its content, and how."""

    suite: Name
    sha256: Sha256


class MasterFile(Strict):
    """A suite file that holds its tasks: a master, or a train or held-out suite written by hand.

    Attributes:
        source: where the tasks' files come from, see :mod:`pytest_repoagent.sources`.
        commit: the commit that pins a git source.
        repo: path (relative to the suite file) or URL of the source ``repo``'s repository.
        mutated_from: where each task is a mutation of another suite's.
    """

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    source: str = Field(min_length=1)
    commit: Commit | None = None
    repo: str | None = None
    split: Split
    mutated_from: MutatedFrom | None = None
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _all_mutated(self) -> Self:
        if any((task.mutation is None) != (self.mutated_from is None) for task in self.tasks):
            raise ValueError("has mutated_from, or a task has mutation, and the other is missing")
        return self


class DerivedFile(Strict):
    """A suite file that names one side of a split master."""

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    split: Literal["train", "heldout"]
    derived_from: DerivedFrom
    task_ids: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Suite:
    """A suite ready for use; tasks are in the order of their ids, ``sha256`` pins the content of its file.

    ``derived_from`` is None for a suite that holds its tasks itself.
    """

    name: str
    source: str
    commit: str | None
    repo: str | None
    split: Split
    tasks: tuple[Task, ...]
    sha256: str
    path: Path
    derived_from: DerivedFrom | None = None
    mutated_from: MutatedFrom | None = None


def load_suite(path: Path) -> Suite:
    """Read a suite file, and the master beside it where it is derived from one.

    Raises:
        SuiteError: there is anything wrong with either; names the file and the field.
    """
    file, sha256 = _read(path)
    if isinstance(file, MasterFile):
        tasks = tuple(sorted(file.tasks, key=lambda task: task.task_id))
        return Suite(
            file.name, file.source, file.commit, file.repo, file.split, tasks, sha256, path, None, file.mutated_from
        )
    origin = file.derived_from
    beside = path.with_name(f"{origin.suite}.json")
    if not beside.is_file():
        raise SuiteError(f"{path}: derived_from.suite names {origin.suite!r}, but there is no file {beside}")
    master, master_sha256 = _read(beside)
    if isinstance(master, DerivedFile):
        raise SuiteError(f"{path}: derived_from.suite names {origin.suite!r}, which is itself derived")
    if master_sha256 != origin.sha256:
        raise SuiteError(
            f"{path}: derived_from.sha256 is {origin.sha256[:12]} but {beside} has {master_sha256[:12]}: "
            f"the master has changed, so run `repoagent suite split {origin.suite}` again"
        )
    by_id = {task.task_id: task for task in master.tasks}
    for number, task_id in enumerate(file.task_ids):
        if task_id not in by_id:
            raise SuiteError(f"{path}: task_ids[{number}] is {task_id!r}, which is not in {beside}")
    tasks = tuple(by_id[task_id] for task_id in sorted(file.task_ids))
    return Suite(file.name, master.source, master.commit, master.repo, file.split, tasks, sha256, path, origin)


def dump_suite(file: MasterFile | DerivedFile, path: Path) -> None:
    """Write a suite file, whole or not at all, and the folder it lies in.

    Raises:
        SuiteError: it cannot be written.
    """
    value = file.model_dump(mode="json", by_alias=True, exclude_none=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise SuiteError(f"{path}: cannot be written ({error.strerror})") from None


def find_suite(name_or_path: str, folders: Sequence[Path]) -> Path:
    """The suite file meant by a path, or by a name to be found in ``folders`` (the first that has it).

    Raises:
        SuiteError: there is none; lists those there are.
    """
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    for folder in folders:
        for name in (name_or_path, f"{name_or_path}.json"):
            if (folder / name).is_file():
                return folder / name
    known = sorted({file.stem for folder in folders for file in folder.glob("*.json")})
    raise SuiteError(f"there is no suite {name_or_path!r}: give the path of a suite file or one of {', '.join(known)}")


def _read(path: Path) -> tuple[MasterFile | DerivedFile, str]:
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{path}: is not JSON in UTF-8 ({error})") from None
    if not isinstance(value, dict):
        raise SuiteError(f"{path}: is not a JSON object with the fields of a suite")
    model = DerivedFile if "derived_from" in value else MasterFile
    try:
        file = model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise SuiteError(f"{path}: {first_mistake(error)}") from None
    ids = [task.task_id for task in file.tasks] if isinstance(file, MasterFile) else list(file.task_ids)
    for number, task_id in enumerate(ids):
        if task_id in ids[:number]:
            field = f"tasks[{number}].task_id" if isinstance(file, MasterFile) else f"task_ids[{number}]"
            raise SuiteError(f"{path}: {field} is {task_id!r}, which an earlier task has already")
    if file.name != path.stem:
        raise SuiteError(f"{path}: name is {file.name!r}, but must be the file's name, {path.stem!r}")
    return file, canonical_sha256(value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice in one object")
    return value


def first_mistake(error: ValidationError) -> str:
    """Which field a model refused, as a JSON path, and why, in one line."""
    first = error.errors(include_url=False)[0]
    known = {"missing": "is missing", "extra_forbidden": "is not a field there is"}
    message = first["msg"].removeprefix("Value error, ")
    return f"{_json_path(first['loc'])} {known.get(first['type'], f'is wrong: {message}')}"


def _json_path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            text += f".{part}" if part.isidentifier() else f"[{json.dumps(part)}]"
    return text.removeprefix(".") or "the content"
