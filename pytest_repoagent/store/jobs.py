"""The store's account of fine-tuning jobs and of the endpoints that serve what came out of them.

Both tables are written here and nowhere else, a short burst at a time like all of the store, so a job that is watched
does not keep the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.store import reader
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S, sql, writing
from pytest_repoagent.store.rows import storable


@dataclass(frozen=True)
class Submission:
    """What is known of a job when it is submitted; columns as in ``jobs.sql``, ``request`` is JSON text."""

    job_id: str
    provider: str
    method: str
    base_model: str | None
    from_job: str | None
    name: str
    train_path: str
    train_sha256: str
    train_file_id: str
    val_path: str | None
    val_sha256: str | None
    val_file_id: str | None
    request: str
    estimate_usd: float | None
    estimate_tokens: int | None
    submitted_at: datetime


@dataclass(frozen=True)
class Sighting:
    """What the provider says of a job; what it leaves out stays as it was. Columns as in ``jobs.sql``."""

    job_id: str
    provider: str
    status: str
    base_model: str | None = None
    output_name: str | None = None
    model_object_id: str | None = None
    cost_usd: float | None = None
    error: str | None = None


def prepare(store: Path) -> None:
    """See that jobs can be recorded, before one is paid for.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: they cannot.
    """
    with _tables(store):
        pass


def submitted(store: Path, job: Submission, answer: Sighting) -> None:
    """Record a job that was submitted, and what the provider answered.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: the store cannot be written.
    """
    with _tables(store) as connection:
        _see(connection, answer)
        _set(connection, job.job_id, asdict(job))


def seen(store: Path, job: Sighting) -> None:
    """Record what the provider says of a job; a status is added to the history when it is another than the last.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: the store cannot be written.
    """
    with _tables(store) as connection:
        _see(connection, job)


def deployed(store: Path, endpoint_id: str, job_id: str, name: str, hardware: str, usd_per_hour: float) -> None:
    """Record an endpoint that was made.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: the store cannot be written.
    """
    with _tables(store) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?, ?, ?, ?, NULL)",
            [endpoint_id, job_id, name, hardware, usd_per_hour, _now()],
        )


def removed(store: Path, job_id: str) -> None:
    """Record that no endpoint of a job is left.

    Raises:
        StoreBusy, StoreUnusable, InfrastructureError: the store cannot be written.
    """
    with _tables(store) as connection:
        connection.execute(
            "UPDATE endpoints SET removed_at = ? WHERE job_id = ? AND removed_at IS NULL", [_now(), job_id]
        )


def find(store: Path, job_id: str) -> dict[str, Any] | None:
    """A job's row by column; None where it is not recorded, or where there is no store.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
    """
    if not store.exists() or not exists(store):
        return None
    found = reader.query_dicts(store, "FROM jobs WHERE job_id = ?", [job_id])
    return found[0] if found else None


def exists(store: Path) -> bool:
    """Whether any job was ever recorded.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
    """
    with closing(reader.connect(store)) as connection:
        found = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'jobs' AND NOT temporary")
        return found.fetchone() is not None


@contextmanager
def _tables(store: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store, open for one burst of writes, all of them or nothing."""
    try:
        with writing(store, BUSY_TIMEOUT_S) as connection:
            connection.execute(sql("jobs.sql"))
            connection.execute(sql("endpoints.sql"))
            connection.begin()
            yield connection
            connection.commit()
    except duckdb.Error as error:
        raise InfrastructureError(
            f"the store {store} cannot be written ({str(error).partition(chr(10))[0]})"
        ) from error


def _see(connection: duckdb.DuckDBPyConnection, job: Sighting) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO jobs (job_id, provider, status, status_history) VALUES (?, ?, ?, [])",
        [job.job_id, job.provider, job.status],
    )
    connection.execute(
        "UPDATE jobs SET status_history = list_append(status_history, {status: ?, seen_at: ?::TIMESTAMP}) "
        "WHERE job_id = ? AND status_history[-1].status IS DISTINCT FROM ?",
        [job.status, _now(), job.job_id, job.status],
    )
    _set(connection, job.job_id, {name: value for name, value in asdict(job).items() if value is not None})


def _set(connection: duckdb.DuckDBPyConnection, job_id: str, values: dict[str, Any]) -> None:
    given = {name: storable(value) for name, value in values.items() if name != "job_id"}
    columns = ", ".join(f"{name} = ?" for name in given)
    connection.execute(f"UPDATE jobs SET {columns} WHERE job_id = ?", [*given.values(), job_id])


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
