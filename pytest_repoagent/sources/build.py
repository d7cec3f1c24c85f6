"""Making a master suite out of a folder in QuixBugs' layout: what each task needs, and what its tests really do."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_repoagent.errors import SourceError
from pytest_repoagent.goals import default_goal
from pytest_repoagent.sources.bug_folder import PROGRAMS, correct_path
from pytest_repoagent.suites import ExpectedTests, Metadata, Suite, Task
from pytest_repoagent.testrun.base import Job, Runner

TESTS = "python_testcases/"


class CatalogueEntry(BaseModel):
    """What only a person can say about a program; ``family`` is the program's own name where it has no kin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    difficulty: Literal["easy", "medium", "hard"]
    category: str = Field(min_length=1)
    defect_class: str = Field(min_length=1)
    family: str | None = None


def catalogue_of(suite: Suite) -> dict[str, CatalogueEntry]:
    """What a suite says about its tasks, by program name."""
    return {task.name: CatalogueEntry(family=task.family, **task.metadata.model_dump()) for task in suite.tasks}


def build_tasks(
    prefix: str, root: Path, catalogue: Mapping[str, CatalogueEntry], goals: Mapping[str, str], runner: Runner
) -> tuple[Task, ...]:
    """The tasks of every program in ``root`` that has tests.

    Args:
        prefix: what task ids begin with.
        root: the folder.
        catalogue: program name -> its facts.
        goals: program name -> its goal, where it shall not be the usual one.
        runner: runs the tests of both versions of each program.

    Raises:
        SourceError: there is no program, a program has no corrected twin or no catalogue entry, the corrected one
            fails its tests, or the buggy one passes them.
    """
    names = sorted(
        path.stem for path in (root / PROGRAMS).glob("*.py") if (root / TESTS / f"test_{path.stem}.py").is_file()
    )
    if not names:
        raise SourceError(f"{root} has no {PROGRAMS}NAME.py with a {TESTS}test_NAME.py")
    absent = [name for name in names if name not in catalogue]
    if absent:
        raise SourceError(f"no difficulty, category and defect class are known of {', '.join(absent)}: add a catalogue")
    return tuple(_task(f"{prefix}/{name}", name, root, catalogue[name], goals.get(name), runner) for name in names)


def _task(task_id: str, name: str, root: Path, entry: CatalogueEntry, goal: str | None, runner: Runner) -> Task:
    program, tests = f"{PROGRAMS}{name}.py", f"{TESTS}test_{name}.py"
    correct = root / correct_path(program)
    if not correct.is_file():
        raise SourceError(f"{task_id}: there is no corrected program {correct}")
    files = _needed(root, name)
    command = ("python", "-m", "pytest", tests)
    fixed = {program: correct.read_bytes().decode()}
    expected = _measure(task_id, root, files, fixed, command, runner)
    return Task(
        task_id=task_id,
        family=entry.family or name,
        goal=goal or default_goal(program, tests),
        command=command,
        files={path: _sha256(root / path) for path in files},
        editable=(PROGRAMS,),
        expected_files=(program,),
        fix={program: _sha256(correct)},
        expected_tests=expected,
        metadata=Metadata.model_validate(entry.model_dump(exclude={"family"})),
    )


def _needed(root: Path, name: str) -> tuple[str, ...]:
    program, tests = f"{PROGRAMS}{name}.py", f"{TESTS}test_{name}.py"
    own = {program, tests, "conftest.py", f"json_testcases/{name}.json"}
    helpers = _helpers(root, PROGRAMS, program) | _helpers(root, TESTS, tests)
    return tuple(sorted(path for path in own | helpers if (root / path).is_file()))


def _helpers(root: Path, folder: str, path: str) -> set[str]:
    """The modules of ``folder`` that the file imports, themselves and through each other."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        for module in _imports(ast.parse((root / waiting.pop()).read_bytes())):
            helper = f"{folder}{module}.py"
            if helper not in found and helper != path and (root / helper).is_file():
                found.add(helper)
                waiting.append(helper)
    return found


def _imports(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or node.names[0].name).removeprefix(PROGRAMS.replace("/", "."))


def _measure(
    task_id: str, root: Path, files: tuple[str, ...], fixed: Mapping[str, str], command: tuple[str, ...], runner: Runner
) -> ExpectedTests:
    first = runner.run(Job(root, files, fixed, command, expected_passed=1))
    passed, skipped = first.counts.get("passed", 0), first.counts.get("skipped", 0)
    again = runner.run(Job(root, files, fixed, command, passed, skipped))
    if not passed or not again.passed:
        raise SourceError(f"{task_id}: the corrected program does not pass its tests ({again.reason})")
    if runner.run(Job(root, files, {}, command, passed, skipped)).passed:
        raise SourceError(f"{task_id}: the program passes its tests as it is, so there is no bug")
    return ExpectedTests(passed=passed, skipped=skipped)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
