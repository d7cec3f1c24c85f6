"""``repoagent ingest``, ``export``, ``sql``, ``runs`` and ``store``: the store from the command line."""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import DEFAULT_STORE, default_store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Handler = Callable[[argparse.Namespace, Path], int]
Columns = list[tuple[str, str]]
Rows = list[tuple[Any, ...]]
Format = Callable[[Columns, Rows], None]


def add_parser(subparsers: Any) -> None:
    """Add the commands.

    Each sets ``handler``, which takes the parsed arguments and returns an exit code (1 for a wrong statement and for
    rejected files) or raises a RepoAgentError.
    """
    ingest = subparsers.add_parser("ingest", help="record traces in the store (ours, and old-style ones)")
    ingest.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="trace file, or folder to search")
    store_argument(ingest, _ingest)

    export = subparsers.add_parser("export", help="share the recorded runs as Parquet files")
    shared = "folder, which others may fill too, or s3://BUCKET/PATH"
    export.add_argument("--parquet", required=True, metavar="DIR|URL", help=shared)
    store_argument(export, _export)

    sql = subparsers.add_parser("sql", help="ask the store, for example 'FROM model_comparison'")
    sql.add_argument("query", metavar="QUERY", help="one statement; `repoagent store schema` shows what there is")
    sql.add_argument("--format", choices=tuple(_FORMATS), default="table", help="default: table")
    sql.add_argument("--from", dest="folder", metavar="DIR|URL", help="ask exported runs instead of the store")
    store_argument(sql, _sql)

    runs = subparsers.add_parser("runs", help="list the recorded runs, newest first")
    store_argument(runs, _runs)

    store = subparsers.add_parser("store", help="where the store is, what is in it")
    store.add_argument("what", choices=("path", "schema"), help="its file, or its tables and views with comments")
    store_argument(store, _store)


def store_argument(parser: argparse.ArgumentParser, handler: Handler) -> None:
    """Add ``--store``; ``handler`` gets the parsed arguments and the store."""
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help=f"DuckDB file (default: $REPOAGENT_STORE, else {DEFAULT_STORE})"
    )
    parser.set_defaults(handler=lambda args: handler(args, args.store or default_store()))


def _ingest(args: argparse.Namespace, store: Path) -> int:
    from builders.progress import progress
    from pytest_repoagent.store.ingest import ingest

    def track(files: Sequence[Path]) -> Iterator[Path]:
        with progress("reading traces", len(files)) as advance:
            for file in files:
                yield file
                advance(1)

    report = ingest(args.paths, store, track=track)
    for path, reason in report.rejected:
        print(_cell(f"rejected {path}: {reason}"), file=sys.stderr)
    print(
        f"{store}: {report.written} rollouts recorded, {report.already} were there, "
        f"{len(report.unfinished)} unfinished, {len(report.rejected)} rejected"
    )
    return 1 if report.rejected else 0


def _export(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent.store import folders
    from pytest_repoagent.store.parquet import export

    runs = export(store, folders.find(args.parquet))
    print(f"{args.parquet}: {len(runs)} runs; `repoagent sql --from {args.parquet} 'FROM model_comparison'` asks them")
    return 0


def _sql(args: argparse.Namespace, store: Path) -> int:
    if not args.query.strip():
        raise UsageError("the query is empty; `repoagent sql 'FROM model_comparison'` is one")
    if args.folder is None:
        return show(store, args.query, _FORMATS[args.format])
    from pytest_repoagent.store import folders
    from pytest_repoagent.store.parquet import open_folder

    with closing(open_folder(folders.find(args.folder))) as connection:
        return _ask(connection, args.query, _FORMATS[args.format])


def _runs(args: argparse.Namespace, store: Path) -> int:
    return show(store, "FROM run_history ORDER BY started_at DESC, run_id, model")


def _store(args: argparse.Namespace, store: Path) -> int:
    from pytest_repoagent.store.connection import sql

    print(store.absolute() if args.what == "path" else f"{sql('schema.sql')}\n{sql('views.sql')}")
    return 0


def show(store: Path, query: str, output: Format | None = None) -> int:
    """Print what a query gives, by default as a table; returns 1 where the query is wrong."""
    from pytest_repoagent.store.reader import connect

    with closing(connect(store)) as connection:
        return _ask(connection, query, output or _print_table)


def _ask(connection: DuckDBPyConnection, query: str, output: Format) -> int:
    import duckdb

    try:
        result = connection.execute(query)
        columns = [(column[0], str(column[1])) for column in result.description or ()]
        rows = result.fetchall()
    except duckdb.Error as error:
        print(f"repoagent: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return 1
    connection.close()
    output(columns, rows)
    return 0


def _print_table(columns: Columns, rows: Rows) -> None:
    """A table; on a terminal too narrow for it, few rows are shown as columns. A file or pipe is never too narrow."""
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    cells = [[_cell(value) for value in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in columns:
        table.add_column(name, justify="right" if kind in _NUMBERS else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console()
    width = Measurement.get(console, console.options.update(max_width=10**6), table).maximum
    if not console.is_terminal:
        console.width = max(1, width)
    elif width > console.width and len(rows) <= _FEW:
        table = Table(box=None, pad_edge=False, show_header=False)
        for (name, _), *values in zip(columns, *cells, strict=True):
            table.add_row(name, *map(Text, values))
    console.print(table)


def _cell(value: Any) -> str:
    """A value for people; control characters, which a model may have written, are spelled out."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))


def _print_csv(columns: Columns, rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(name for name, _ in columns)
    writer.writerows(rows)


def _print_json(columns: Columns, rows: Rows) -> None:
    """An array of objects; JSON columns are embedded, what JSON has no type for is text."""
    objects = [
        {
            name: json.loads(value) if kind == "JSON" and value is not None else value
            for (name, kind), value in zip(columns, row, strict=True)
        }
        for row in rows
    ]
    print(json.dumps(objects, ensure_ascii=False, indent=1, default=str))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FEW = 6
_NUMBERS = frozenset({"INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT"})
_FORMATS: dict[str, Format] = {"table": _print_table, "csv": _print_csv, "json": _print_json}
