"""Runs as Parquet files in a folder that several people fill, and that DuckDB reads as one store.

The folder has a subfolder for each table and in it a file for each run, ``TABLE/RUN.parquet``, so that whoever exports
a run again replaces it, and nobody touches another's.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import duckdb

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.store.connection import CONFIG, sql
from pytest_repoagent.store.reader import connect

_ROWS = {
    "test_runs": "FROM test_runs WHERE rollout_id IN (SELECT rollout_id FROM rollouts WHERE run_id = ?)",
    "steps": "SELECT COLUMNS(lambda name: name NOT IN ('acted', 'texts')) FROM steps "
    "WHERE rollout_id IN (SELECT rollout_id FROM rollouts WHERE run_id = ?)",
    "rollouts": "FROM rollouts WHERE run_id = ?",
    "runs": "FROM runs WHERE run_id = ?",
}
"""What is exported of a run; last what says that there is more. Of a step, every text once."""


def export(store: Path, folder: Path) -> list[str]:
    """Write all runs of a store into the folder; returns their ids.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
        InfrastructureError: a file cannot be written; those that are there are whole.
    """
    with closing(connect(store)) as connection:
        runs = [run_id for (run_id,) in connection.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()]
        for run_id in runs:
            for table, rows in _ROWS.items():
                _write(connection, rows, run_id, folder / table / f"{quote(run_id, safe='')}.parquet")
    return runs


def open_folder(folder: Path) -> duckdb.DuckDBPyConnection:
    """All runs in the folder as the tables and views of a store; to be closed by the caller.

    Raises:
        UsageError: there are none, or a file is not what it should be.
    """
    connection = duckdb.connect(config=CONFIG)
    try:
        for table in _ROWS:
            files = [str(path) for path in sorted((folder / table).glob("*.parquet"))]
            if not files:
                raise UsageError(f"{folder} has no {table}/*.parquet: `repoagent export --parquet {folder}` makes them")
            found = connection.read_parquet(files, union_by_name=True)
            (found.select("*, action IS NOT NULL AS acted") if table == "steps" else found).create_view(table)
        connection.execute(sql("views.sql"))
    except duckdb.Error as error:
        connection.close()
        raise UsageError(f"{folder} cannot be read as a store: {str(error).partition(chr(10))[0]}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _write(connection: duckdb.DuckDBPyConnection, rows: str, run_id: str, path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection.execute(f"COPY ({rows}) TO ? (FORMAT parquet, COMPRESSION zstd)", [run_id, str(unfinished)])
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except (OSError, duckdb.IOException) as error:
        raise InfrastructureError(f"{path} was not written: {str(error).partition(chr(10))[0]}") from error
