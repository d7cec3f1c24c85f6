"""``repoagent report`` and ``show``: recorded runs to look at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_repoagent.cli_store import store_argument
from pytest_repoagent.errors import UsageError


def add_parser(subparsers: Any) -> None:
    """Add the commands. Each sets ``handler``, which returns 0 or raises a RepoAgentError."""
    report = subparsers.add_parser("report", help="write runs as one HTML file: summary, charts, every trace")
    report.add_argument("runs", nargs="*", metavar="RUN", help="run id or its beginning, tag, or last; default: last")
    report.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html"
    )
    store_argument(report, _report)

    show = subparsers.add_parser("show", help="print one rollout step by step")
    show.add_argument("rollout", metavar="ROLLOUT", help="rollout id, or a beginning that no other has")
    store_argument(show, _show)


def _report(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent.report.page import write_report

    rollouts = write_report(store, args.runs, args.output)
    print(f"{args.output}: {rollouts} rollouts, {args.output.stat().st_size / 1e6:.1f} MB")
    return 0


def _show(args: argparse.Namespace, store: Path) -> int:
    from rich.console import Console

    from pytest_repoagent.report.terminal import show
    from pytest_repoagent.store.reader import load_rollout

    show(load_rollout(store, _whole_id(store, args.rollout)), Console())
    return 0


def _whole_id(store: Path, beginning: str) -> str:
    """The id of the only rollout that begins so; ``beginning`` itself where there is none."""
    from pytest_repoagent.store.reader import query

    _, rows = query(
        store, "SELECT rollout_id FROM rollouts WHERE starts_with(rollout_id, ?) ORDER BY ALL LIMIT 2", [beginning]
    )
    found = [rollout_id for (rollout_id,) in rows]
    if len(found) == 2 and beginning not in found:
        raise UsageError(f"several rollouts in {store} begin with {beginning!r}; give more of the id")
    return beginning if len(found) != 1 else found[0]
