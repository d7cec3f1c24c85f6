"""``repoagent validate``: is a training file what its trainer takes?"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command; its handler returns 1 if anything was found, or raises a UsageError."""
    from builders.formats import FORMATS, KINDS

    parser = subparsers.add_parser("validate", help="check a training file offline against the rules of its format")
    parser.add_argument("file", type=Path, metavar="FILE", help="JSONL, or Parquet for --format parquet")
    parser.add_argument("--format", choices=FORMATS, required=True, help="whose rules; docs/formats.md lists them")
    parser.add_argument("--kind", choices=KINDS, help="what its rows must be for (default: what the first one says)")
    parser.set_defaults(handler=_validate)


def _validate(args: argparse.Namespace) -> int:
    from builders.progress import progress
    from builders.validate import validate

    size = args.file.stat().st_size if args.file.is_file() else None
    with progress(f"checking {args.file.name}", size) as advance:
        report = validate(args.file, args.format, args.kind, advance)
    for finding in report.findings:
        print(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", finding.text(args.file)))
    if report.total > len(report.findings):
        print(f"... and {report.total - len(report.findings):,} more")
    verdict = f"{report.total:,} finding{'s'[: report.total > 1]}" if report.total else "nothing found"
    print(f"{args.file}: {report.rows:,} {report.kind or 'unknown'} rows for {args.format}, {verdict}")
    return 1 if report.total else 0


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
