"""``repoagent suite``: make, split, check and show suites."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from pytest_repoagent import bundled, cli_mutate
from pytest_repoagent.errors import SuiteError, UsageError
from pytest_repoagent.sources import open_source
from pytest_repoagent.sources.base import SourceContext, default_cache_dir
from pytest_repoagent.split import split
from pytest_repoagent.suites import (
    DerivedFile,
    DerivedFrom,
    MasterFile,
    Recipe,
    Suite,
    dump_suite,
    find_suite,
    first_mistake,
    load_suite,
)

if TYPE_CHECKING:
    from pytest_repoagent.sources.build import CatalogueEntry

Subparsers = Any  # argparse keeps the class of `add_subparsers()`'s result private


def add_parser(subparsers: Subparsers) -> None:
    """Add ``suite`` and its sub-commands.

    Each sets ``handler``, which takes the parsed arguments and returns an exit code or raises a UsageError.
    """
    parser = subparsers.add_parser("suite", help="make, split, check and show suites")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="make a master suite from a folder in QuixBugs' layout")
    build.add_argument("source", metavar="SOURCE", help="the tasks' source, such as quixbugs")
    build.add_argument("root", metavar="ROOT", type=Path, help="the folder")
    build.add_argument("-o", dest="output", metavar="FILE", type=Path, required=True, help="the suite file to write")
    build.add_argument(
        "--catalogue",
        metavar="FILE",
        type=Path,
        help="JSON: program name -> difficulty, category, defect_class, family (default: ROOT/catalogue.json, if any); "
        "the rest is kept from the output file",
    )
    build.set_defaults(handler=_build)

    derive = commands.add_parser("split", help="derive a train and a held-out suite from a master")
    derive.add_argument("master", metavar="MASTER", help="name or path of the master suite")
    derive.add_argument("--method", choices=("rank", "md5-percent", "seed"), default="rank", help="default: rank")
    derive.add_argument("--ratio", default="70/30", help="percent for training and held out, default: 70/30")
    derive.add_argument("--salt", default="", help="changes the order of rank")
    derive.add_argument("--seed", type=int, help="of the method seed")
    derive.add_argument("-o", dest="folder", metavar="DIR", type=Path, help="default: the master's folder")
    derive.set_defaults(handler=_split)

    cli_mutate.add_parser(commands)

    check = commands.add_parser("check", help="re-derive splits and compare files with their hashes")
    check.add_argument("paths", nargs="*", metavar="SUITE", help="names or paths, default: the bundled ones")
    check.add_argument("--quixbugs", metavar="PATH|URL", help="check the files of this copy of QuixBugs too")
    check.set_defaults(handler=_check)

    commands.add_parser("list", help="the bundled suites").set_defaults(handler=_list)

    show = commands.add_parser("show", help="one suite and its tasks")
    show.add_argument("suite", metavar="SUITE", help="name or path")
    show.set_defaults(handler=_show)


def _build(arguments: argparse.Namespace) -> int:
    from pytest_repoagent.sources.build import build_tasks, catalogue_of
    from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

    output: Path = arguments.output
    known = load_suite(output) if output.is_file() else None
    catalogue = catalogue_of(known) if known else {}
    own = arguments.root / "catalogue.json"
    if arguments.catalogue or own.is_file():
        catalogue |= _read_catalogue(arguments.catalogue or own)
    runner = SubprocessRunner()
    try:
        goals = {task.name: task.goal for task in known.tasks} if known else {}
        tasks = build_tasks(arguments.source, arguments.root, catalogue, goals, runner)
    finally:
        runner.close()
    file = MasterFile(
        schema=1,
        name=output.stem,
        source=arguments.source,
        commit=_commit(arguments.root),
        split="master",
        tasks=tasks,
    )
    dump_suite(file, output)
    passed = sum(task.expected_tests.passed for task in tasks)
    skipped = sum(task.expected_tests.skipped for task in tasks)
    print(f"{output}: {len(tasks)} tasks; {passed} tests pass and {skipped} are skipped on the corrected programs")
    return 0


def _read_catalogue(path: Path) -> dict[str, CatalogueEntry]:
    from pytest_repoagent.sources.build import CatalogueEntry

    try:
        return TypeAdapter(dict[str, CatalogueEntry]).validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {first_mistake(error)}") from None


def _commit(root: Path) -> str | None:
    """What a folder that is itself a git work tree has checked out."""
    if not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode != 0:
        raise UsageError(f"{root}: git cannot tell the commit ({done.stderr.strip()})")
    return done.stdout.strip()


def _split(arguments: argparse.Namespace) -> int:
    path = find_suite(arguments.master, [bundled.suites_dir()])
    master = load_suite(path)
    if master.derived_from is not None:
        raise SuiteError(f"{path} is itself derived from {master.derived_from.suite}; split that")
    try:
        seed = 0 if arguments.method == "seed" and arguments.seed is None else arguments.seed
        recipe = Recipe(method=arguments.method, ratio=arguments.ratio, salt=arguments.salt, seed=seed)
    except ValidationError as error:
        raise UsageError(f"this split cannot be made: {first_mistake(error)}") from None
    origin = DerivedFrom(**recipe.model_dump(), suite=master.name, sha256=master.sha256)
    sides = dict(zip(("train", "heldout"), split(master.tasks, recipe), strict=True))
    for side, task_ids in sides.items():
        if not task_ids:
            raise UsageError(f"{path}: {recipe.method} {recipe.ratio} leaves no task for {side}; take another ratio")
    folder: Path = arguments.folder or path.parent
    for side, task_ids in sides.items():
        file = folder / f"{master.name.removesuffix('_master')}_{side}.json"
        dump_suite(
            DerivedFile.model_validate(
                {"schema": 1, "name": file.stem, "split": side, "derived_from": origin, "task_ids": task_ids}
            ),
            file,
        )
        print(f"{file}: {len(task_ids)} tasks")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    folders = [bundled.suites_dir()]
    paths = [find_suite(given, folders) for given in arguments.paths] or sorted(folders[0].glob("*.json"))
    suites: list[Suite] = []
    findings: list[str] = []
    for path in paths:
        try:
            suite = load_suite(path)
            suites.append(suite)
            findings += _drift(suite)
            findings += _mutated(suite)
            if suite.source != "quixbugs" or arguments.quixbugs:
                open_source(SourceContext(arguments.quixbugs, suite, default_cache_dir()))
                findings += _known_again(suite, arguments.quixbugs)
        except UsageError as error:
            findings.append(str(error))
    findings += _straddling(suites)
    for finding in findings:
        print(finding)
    if not findings:
        for suite in suites:
            print(_line(suite))
    return 1 if findings else 0


def _drift(suite: Suite) -> Iterator[str]:
    origin = suite.derived_from
    if origin is None:
        return
    master = load_suite(suite.path.with_name(f"{origin.suite}.json"))
    expected = dict(zip(("train", "heldout"), map(set, split(master.tasks, origin)), strict=True))[suite.split]
    found = {task.task_id for task in suite.tasks}
    if missing := expected - found:
        yield f"{suite.path}: task_ids lack {', '.join(sorted(missing))}, which {origin.method} puts there"
    if extra := found - expected:
        yield f"{suite.path}: task_ids hold {', '.join(sorted(extra))}, which {origin.method} puts on the other side"


def _mutated(suite: Suite) -> Iterator[str]:
    """What the tasks of a suite of mutations cannot have from their parents."""
    if suite.mutated_from is not None:
        from pytest_repoagent.mutation import check

        yield from check.strange_tasks(suite, check.parent_of(suite, bundled.suites_dir()))


def _known_again(suite: Suite, quixbugs: str | None) -> Iterator[str]:
    """Mutations that are known bugs; needs the files."""
    if suite.mutated_from is not None:
        from pytest_repoagent.mutation import check, gate

        parent = check.parent_of(suite, bundled.suites_dir())
        master = gate.master_of(parent)
        source = open_source(SourceContext(quixbugs, master, default_cache_dir()))
        yield from check.known_bugs_again(suite, gate.known_bugs(master, source, parent))


def _straddling(suites: Iterable[Suite]) -> Iterator[str]:
    """Families on both sides of one split, and of the suites of one source written by hand."""
    sides: dict[tuple[str, DerivedFrom | None, str], dict[str, Path]] = {}
    for suite in suites:
        for task in suite.tasks:
            sides.setdefault((suite.source, suite.derived_from, task.family), {})[suite.split] = suite.path
    for (_, _, family), paths in sides.items():
        if {"train", "heldout"} <= paths.keys():
            yield f"{paths['heldout']}: family {family!r} is also in {paths['train']}"


def _list(arguments: argparse.Namespace) -> int:
    for path in sorted(bundled.suites_dir().glob("*.json")):
        print(_line(load_suite(path)))
    return 0


def _line(suite: Suite) -> str:
    return f"{suite.name}: {len(suite.tasks)} tasks, {suite.split}, source {suite.source}, sha256 {suite.sha256[:12]}"


def _show(arguments: argparse.Namespace) -> int:
    suite = load_suite(find_suite(arguments.suite, [bundled.suites_dir()]))
    print(_line(suite))
    rows = [("task", "family", "difficulty", "category", "defect class", "tests")]
    for task in suite.tasks:
        facts, tests = task.metadata, task.expected_tests
        skipped = f" +{tests.skipped} skipped" if tests.skipped else ""
        rows.append(
            (
                task.task_id,
                task.family,
                facts.difficulty,
                facts.category,
                facts.defect_class,
                f"{tests.passed}{skipped}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0
