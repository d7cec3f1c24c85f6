"""``repoagent compare``: did it get better?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_repoagent.cli_store import store_argument


def add_parser(subparsers: Any) -> None:
    """Add the command; its handler returns an exit code or raises a RepoAgentError."""
    parser = subparsers.add_parser("compare", help="compare runs, task by task, with the first of them")
    parser.add_argument(
        "references",
        nargs="+",
        metavar="REF",
        help="run id or its beginning, tag, model:NAME or baseline file; RUN/MODEL where a run has several models",
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="default: text")
    parser.add_argument("--anyway", action="store_true", help="compare what was made under different conditions")
    store_argument(parser, _compare)


def _compare(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent.compare import output
    from pytest_repoagent.compare.comparison import compare
    from pytest_repoagent.compare.references import load_arm

    comparisons = compare([load_arm(reference, store) for reference in args.references], args.anyway)
    formats = {"text": output.as_text, "json": output.as_json, "markdown": output.as_markdown}
    print(formats[args.format](comparisons))
    return 0
