"""One-step replies of a model at other models' states: the store's table ``branches``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import duckdb

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.store import reader
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S, sql, writing
from pytest_repoagent.store.rows import storable


@dataclass(frozen=True)
class Branch:
    """A row of the table, see ``branches.sql``; ``extra`` is JSON text."""

    state_hash: str
    model: str
    temperature: float
    max_tokens: int
    sample: int
    seed: int
    rollout_id: str
    step: int
    asked_at: datetime
    latency_s: float
    raw: str | None = None
    finish_reason: str | None = None
    strict_valid: bool | None = None
    lenient_valid: bool | None = None
    error_code: str | None = None
    error_family: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    extra: str | None = None
    error: str | None = None
    cause: str | None = None


_COLUMNS = [field.name for field in fields(Branch)]


def record(store: Path, branches: Sequence[Branch], busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Write replies and failures, in place of earlier ones to the same question; all of them or nothing.

    Raises:
        StoreBusy, StoreUnusable: as :func:`pytest_repoagent.store.connection.writing`.
        InfrastructureError: the store cannot be written.
    """
    statement = f"INSERT OR REPLACE INTO branches ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    try:
        with writing(store, busy_timeout_s) as connection:
            connection.execute(sql("branches.sql"))
            connection.begin()
            if branches:
                connection.executemany(statement, [[storable(v) for v in asdict(b).values()] for b in branches])
            connection.commit()
    except duckdb.Error as error:
        raise InfrastructureError(
            f"the store {store} cannot be written ({str(error).partition(chr(10))[0]})"
        ) from error


def answered(store: Path, model: str, temperature: float, max_tokens: int) -> set[tuple[str, int]]:
    """State hash and sample of every question that has its reply.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
    """
    with closing(reader.connect(store)) as connection:
        if not exists(connection):
            return set()
        found = connection.execute(
            "SELECT state_hash, sample FROM branches "
            "WHERE model = ? AND temperature = ? AND max_tokens = ? AND raw IS NOT NULL",
            [model, temperature, max_tokens],
        )
        return {(state_hash, sample) for state_hash, sample in found.fetchall()}


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether anything was ever asked."""
    found = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'branches' AND NOT temporary")
    return found.fetchone() is not None
