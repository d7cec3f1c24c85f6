"""The one writer of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store import rows
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S, writing


def prepare(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Make the store where there is none, and show that it can be written, before anything is spent on a run.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: as :meth:`StoreWriter.write`.
    """
    with writing(path, busy_timeout_s):
        pass


class StoreWriter:
    """Writes rollouts in bursts. Between bursts the file is closed, so that other sessions can have it."""

    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Name the file; the first burst opens it, and makes it where there is none."""
        self.path = path
        self.busy_timeout_s = busy_timeout_s

    def write(self, rollouts: Sequence[Rollout]) -> int:
        """Record what is not recorded yet, all of it or nothing, and return how many rollouts that was.

        With nothing to write, it only makes sure that the store is there and can be used.

        Raises:
            StoreBusy: another process kept the file open for too long.
            StoreUnusable: the file is no store that this version can use.
            InfrastructureError: the file cannot be written (a full disk).
            ValueError: a rollout does not fit the tables.
        """
        try:
            with writing(self.path, self.busy_timeout_s) as connection:
                return _insert(connection, rollouts)
        except (duckdb.OperationalError, duckdb.FatalException, duckdb.InternalException) as error:
            reason = str(error).partition("\n")[0]
            raise InfrastructureError(
                f"the store {self.path} cannot be written ({reason}); once that is mended, `repoagent ingest` the "
                f"traces, which hold everything"
            ) from error
        except (duckdb.Error, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"a rollout does not fit the store's tables: {error}") from error


def _insert(connection: duckdb.DuckDBPyConnection, rollouts: Sequence[Rollout]) -> int:
    connection.begin()
    present = _present(connection, "rollouts", "rollout_id", [r.rollout_id for r in rollouts])
    first: dict[str, Rollout] = {}
    for rollout in rollouts:
        first.setdefault(rollout.rollout_id, rollout)
    new = [rollout for rollout_id, rollout in first.items() if rollout_id not in present]
    present = _present(connection, "runs", "run_id", [r.run_id for r in new])
    runs = {r.run_id: rows.run_row(r) for r in reversed(new) if r.run_id not in present}
    _append(connection, "runs", runs.values())
    _append(connection, "rollouts", (rows.rollout_row(r) for r in new))
    _append(connection, "steps", (rows.step_row(r.rollout_id, s) for r in new for s in r.trajectory))
    _append(
        connection, "test_runs", (rows.test_run_row(r.rollout_id, n, t) for r in new for n, t in enumerate(r.tests))
    )
    connection.commit()
    return len(new)


def _present(connection: duckdb.DuckDBPyConnection, table: str, column: str, keys: list[str]) -> set[str]:
    found = connection.execute(f"SELECT {column} FROM {table} WHERE {column} IN (SELECT unnest(?))", [keys])
    return {key for (key,) in found.fetchall()}


def _append(connection: duckdb.DuckDBPyConnection, table: str, new: Iterable[rows.Row]) -> None:
    batch = list(new)
    if not batch:
        return
    columns = list(batch[0])
    with connection.appender(table, columns=columns) as appender:
        appender.append_rows([[rows.storable(row[column]) for column in columns] for row in batch])
