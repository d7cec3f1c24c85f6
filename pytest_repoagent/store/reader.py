"""Reading the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from pytest_repoagent.errors import UsageError
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store import rows
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S, reading


def connect(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> duckdb.DuckDBPyConnection:
    """A read-only connection. Close it soon: writers wait for it.

    Raises:
        StoreBusy: a writer did not let go of the store in ``busy_timeout_s`` seconds.
        UsageError: there is no store, or the file is none that this version can use.
    """
    return reading(path, busy_timeout_s)


def query(
    path: Path,
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] = (),
    busy_timeout_s: float = BUSY_TIMEOUT_S,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The column names and rows that ``sql`` gives.

    Raises:
        duckdb.Error: the statement is wrong.
        StoreBusy, UsageError: as :func:`connect`.
    """
    with closing(connect(path, busy_timeout_s)) as connection:
        return _fetch(connection, sql, params)


def query_dicts(path: Path, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """The rows that ``sql`` gives, by column.

    Raises:
        duckdb.Error: the statement is wrong.
        StoreBusy, UsageError: as :func:`connect`.
    """
    with closing(connect(path)) as connection:
        return _dicts(connection, sql, params)


def recorded_keys(path: Path, run_id: str) -> set[tuple[str, str, int]]:
    """Model, task and index of every rollout of a run that is recorded, counted or not.

    Raises:
        StoreBusy, UsageError: as :func:`connect`.
    """
    _, found = query(path, "SELECT DISTINCT model, task_id, rollout FROM rollouts WHERE run_id = ?", [run_id])
    return {(model, task_id, index) for model, task_id, index in found}


def cut_short(path: Path, run_id: str) -> int:
    """How many rollouts of a run ended, at their last attempt, with the run's budget.

    Raises:
        StoreBusy, UsageError: as :func:`connect`.
    """
    cut = "max_by(cause IS NOT DISTINCT FROM 'budget', attempt)"  # max_by passes NULL over
    groups = f"SELECT {cut} AS cut FROM rollouts WHERE run_id = ? GROUP BY model, task_id, rollout"
    _, found = query(path, f"SELECT count(*) FROM ({groups}) WHERE cut", [run_id])
    return int(found[0][0])


def run_totals(path: Path, run_id: str) -> list[dict[str, Any]]:
    """A run's rows of the view of that name, by column; a row per model.

    Raises:
        StoreBusy, UsageError: as :func:`connect`.
    """
    return query_dicts(path, "FROM run_totals WHERE run_id = ? ORDER BY model", [run_id])


def run_sandbox(path: Path, run_id: str) -> list[dict[str, Any]]:
    """A run's rows of the view of that name, by column; most test runs first.

    Raises:
        StoreBusy, UsageError: as :func:`connect`.
    """
    return query_dicts(
        path, "FROM run_sandbox WHERE run_id = ? ORDER BY test_runs DESC, runner, judge, sandbox", [run_id]
    )


def load_rollout(path: Path, rollout_id: str) -> Rollout:
    """The rollout as it was written; only half surrogate pairs were lost (see ``schema.sql``).

    Raises:
        UsageError: it is not recorded.
        StoreBusy, UsageError: as :func:`connect`.
    """
    found = load_rollouts(path, [rollout_id])
    if not found:
        raise UsageError(f"there is no rollout {rollout_id} in {path}; `repoagent sql 'FROM rollouts'` lists them")
    return found[0]


def load_rollouts(path: Path, ids: Sequence[str], busy_timeout_s: float = BUSY_TIMEOUT_S) -> list[Rollout]:
    """Those of some rollouts that are recorded, each as :func:`load_rollout` gives it.

    Raises:
        StoreBusy, UsageError: as :func:`connect`.
    """
    with closing(connect(path, busy_timeout_s)) as connection:
        found = {
            table: _dicts(connection, f"FROM {table} WHERE rollout_id IN (SELECT unnest(?)) ORDER BY {order}", [ids])
            for table, order in (("rollouts", "rollout_id"), ("steps", "step"), ("test_runs", "n"))
        }

    def of(rollout: dict[str, Any], table: str) -> list[dict[str, Any]]:
        return [row for row in found[table] if row["rollout_id"] == rollout["rollout_id"]]

    return [rows.to_rollout(each, of(each, "steps"), of(each, "test_runs")) for each in found["rollouts"]]


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | Mapping[str, Any]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    result = connection.execute(sql, params)
    return [column[0] for column in result.description], result.fetchall()


def _dicts(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | Mapping[str, Any]
) -> list[dict[str, Any]]:
    names, found = _fetch(connection, sql, params)
    return [dict(zip(names, row, strict=True)) for row in found]
