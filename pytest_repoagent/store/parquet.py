"""Runs as Parquet files in a folder that several people fill, and that DuckDB reads as one store.

The folder has a subfolder for each table and in it a file for each run, ``TABLE/RUN.parquet``, so that whoever exports
a run again replaces it, and nobody touches another's.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import duckdb

from pytest_repoagent.errors import UsageError
from pytest_repoagent.store.connection import CONFIG, sql
from pytest_repoagent.store.folders import Folder
from pytest_repoagent.store.reader import connect

_ROWS = {
    "test_runs": "FROM test_runs WHERE rollout_id IN (SELECT rollout_id FROM rollouts WHERE run_id = ?)",
    "steps": "SELECT COLUMNS(lambda name: name NOT IN ('acted', 'texts')) FROM steps "
    "WHERE rollout_id IN (SELECT rollout_id FROM rollouts WHERE run_id = ?)",
    "rollouts": "FROM rollouts WHERE run_id = ?",
    "runs": "FROM runs WHERE run_id = ?",
}
"""What is exported of a run; last what says that there is more. Of a step, every text once."""


def export(store: Path, folder: Folder) -> list[str]:
    """Write all runs of a store into the folder; returns their ids.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
        InfrastructureError: a file cannot be written; those that are there are whole.
    """
    with closing(connect(store)) as connection:
        runs = [run_id for (run_id,) in connection.execute("SELECT run_id FROM runs ORDER BY run_id").fetchall()]
        for run_id in runs:
            for table, rows in _ROWS.items():
                with folder.new(f"{table}/{quote(run_id, safe='')}.parquet") as file:
                    connection.execute(f"COPY ({rows}) TO ? (FORMAT parquet, COMPRESSION zstd)", [run_id, str(file)])
    return runs


def open_folder(folder: Folder) -> duckdb.DuckDBPyConnection:
    """All runs in the folder as the tables and views of a store; to be closed by the caller.

    Raises:
        UsageError: there are none, or a file is not what it should be.
        InfrastructureError: the folder cannot be reached.
    """
    connection = duckdb.connect(config=CONFIG)
    try:
        folder.let_read(connection)
        for table in _ROWS:
            files = folder.files(f"{table}/*.parquet")
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
