"""``repoagent baseline``: the files that the gate compares runs with."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from pytest_repoagent.cli_store import store_argument
from pytest_repoagent.compare.baseline_file import load_baseline, write_baseline
from pytest_repoagent.errors import UsageError
from pytest_repoagent.gate.baseline import FOLDER, of_run
from pytest_repoagent.gate.metrics import METRICS, measure
from pytest_repoagent.gate.table import number


def add_parser(subparsers: Any) -> None:
    """Add the commands.

    Each sets ``handler``, which takes the parsed arguments and returns 0 or raises a RepoAgentError.
    """
    parser = subparsers.add_parser("baseline", help="save, show and list what the gate compares runs with")
    actions = parser.add_subparsers(dest="action", required=True)

    save = actions.add_parser("save", help=f"make {FOLDER}/NAME.json of a recorded run")
    save.add_argument("run", metavar="RUN", help="run id, tag or last; RUN/MODEL where several models ran")
    save.add_argument("name", metavar="NAME")
    store_argument(save, _save)

    show = actions.add_parser("show", help="what a baseline was made of, and its metrics")
    show.add_argument("name", metavar="NAME", help=f"of a file in {FOLDER}, or the path of one")
    show.set_defaults(handler=_show)

    actions.add_parser("list", help=f"the baselines in {FOLDER}").set_defaults(handler=_list)


def _save(args: argparse.Namespace, store: Path) -> int:
    name = args.name.removesuffix(".json")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise UsageError(f"{args.name!r} is no name for a baseline: give a plain one, without folders")
    path = FOLDER / f"{name}.json"
    file = of_run(store, args.run)
    replaced = path.exists()
    write_baseline(file, path)
    print(f"{path}: {'replaced' if replaced else 'written'}, {_summary(path)}; review it and commit it")
    return 0


def _show(args: argparse.Namespace) -> int:
    path = Path(args.name) if Path(args.name).is_file() else FOLDER / f"{args.name.removesuffix('.json')}.json"
    file = load_baseline(path)
    identity = file.identity
    print(f"{path}: {_summary(path)}")
    print(f"suite {identity.suite} {identity.suite_sha256}")
    settings = ", ".join(f"{name} {value}" for name, value in identity.settings.items())
    print(f"settings {identity.settings_hash}: {settings}")
    for metric in METRICS.values():
        try:
            shown = number(metric, measure(metric, file.tasks, file.tasks))
        except UsageError:
            shown = "not known of every task"
        print(f"{metric.name:<16} {shown}")
    return 0


def _list(args: argparse.Namespace) -> int:
    for path in sorted(FOLDER.glob("*.json")):
        print(f"{path}: {_summary(path)}")
    return 0


def _summary(path: Path) -> str:
    file = load_baseline(path)
    identity, repeats = file.identity, "-".join(map(str, file.rollouts))
    return (
        f"{identity.model} on {identity.suite}, {len(file.tasks)} tasks, rollouts of each {repeats}, "
        f"{identity.created:%Y-%m-%d}"
    )
