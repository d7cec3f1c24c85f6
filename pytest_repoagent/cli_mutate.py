"""``repoagent suite mutate``: a suite of new one-line bugs in corrected programs, proven by their tests."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_repoagent import bundled
from pytest_repoagent.errors import UsageError
from pytest_repoagent.suites import MasterFile, Suite, dump_suite, find_suite, load_suite

if TYPE_CHECKING:
    from rich.progress import Progress

    from pytest_repoagent.mutation.report import Report

_T = TypeVar("_T")


def add_parser(commands: Any) -> None:
    """Add the command; it returns 0."""
    mutate = commands.add_parser("mutate", help="make new one-line bugs in the corrected programs of a suite")
    mutate.add_argument("suite", metavar="SUITE", help="name or path of a train suite that was split from a master")
    mutate.add_argument("-o", dest="output", metavar="FILE", type=Path, required=True, help="the suite file to write")
    mutate.add_argument("--seed", type=int, default=0, help="which bugs are preferred where there are many, default: 0")
    mutate.add_argument("--per-program", metavar="N", type=int, default=30, help="most bugs of a program, default: 30")
    mutate.add_argument(
        "--fresh-heldout",
        action="store_true",
        help="the suite is a held-out one: make tasks for evaluation alone, with bugs elsewhere than the known ones",
    )
    mutate.add_argument("--quixbugs", metavar="PATH|URL", help="a copy of QuixBugs")
    mutate.add_argument("--runner", default="warm", metavar="NAME", help="test runner, default: warm")
    mutate.add_argument("-j", "--jobs", metavar="N", type=int, default=1, help="test runs at a time, default: 1")
    mutate.set_defaults(handler=_mutate)


def _mutate(arguments: argparse.Namespace) -> int:
    from pytest_repoagent.mutation.build import Maker
    from pytest_repoagent.mutation.gate import known_bugs, master_of
    from pytest_repoagent.mutation.workers import Workers
    from pytest_repoagent.registry import built_in
    from pytest_repoagent.sources.bug_folder import BugFolder

    side = load_suite(find_suite(arguments.suite, [bundled.suites_dir()]))
    _check(side, arguments)
    master = master_of(side)
    registry = built_in()
    source = registry.source(master, arguments.quixbugs)
    if not isinstance(source, BugFolder):
        raise UsageError(f"{side.path}: source is {side.source}, but mutate needs a folder in QuixBugs' layout")
    known = known_bugs(master, source, side)
    with (
        _progress() as progress,
        Workers(lambda: registry.runner(arguments.runner, "auto"), arguments.jobs) as workers,
    ):

        def track(items: Iterable[_T], total: int, what: str) -> Iterable[_T]:
            return progress.track(items, total, description=what)

        maker = Maker(side, source, known, workers, track, arguments.seed)
        file = maker.make(arguments.output.stem, arguments.per_program)
    dump_suite(file, arguments.output)
    _print(file, arguments.output, maker.report)
    return 0


def _check(side: Suite, arguments: argparse.Namespace) -> None:
    """Refuse now what would be refused after minutes of test runs.

    Raises:
        UsageError: what was asked for cannot be made.
    """
    wanted = "heldout" if arguments.fresh_heldout else "train"
    output: Path = arguments.output
    if side.split != wanted:
        hints = {
            "master": "name one of the suites that were split from it",
            "train": "leave --fresh-heldout out",
            "heldout": "with --fresh-heldout its programs give tasks for evaluation",
        }
        raise UsageError(f"{side.path}: split is {side.split}, but {wanted} is needed; {hints[side.split]}")
    if arguments.jobs < 1 or arguments.per_program < 1:
        raise UsageError("--jobs and --per-program must be at least 1")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+\.json", output.name):
        raise UsageError(f"{output}: the file's name must be letters, digits, _, - and dots, and end in .json")
    if output.is_file() and load_suite(output).mutated_from is None:
        raise UsageError(f"{output} is a suite that mutate did not make; write to another file")


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print(file: MasterFile, output: Path, report: Report) -> None:
    from pytest_repoagent.mutation.report import COLUMNS

    mutations = [task.mutation for task in file.tasks if task.mutation]
    symptoms = Counter(mutation.symptom for mutation in mutations)
    programs = len({mutation.parent for mutation in mutations})
    counts = ", ".join(f"{symptom.replace('_', ' ')} {n}" for symptom, n in symptoms.most_common())
    print(f"{output}: split {file.split}, programs {programs}, tasks {len(mutations)} ({counts})")
    rows = [("operator", "candidates", *COLUMNS)]
    for operator in dict.fromkeys(operator for operator, _ in report.fates):
        rows.append((operator, *map(str, report.row(operator))))
    rows.append(("all", *map(str, report.row())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print("  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]))
