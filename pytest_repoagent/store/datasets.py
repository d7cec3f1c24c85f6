"""The store's account of the datasets that were built from it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S, sql, writing


def record(store: Path, folder: Path, manifest: bytes, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Note a dataset; one with the same content in the same folder is noted once.

    Args:
        store: what it was built from.
        folder: where it is.
        manifest: the bytes of its ``manifest.json``.
        busy_timeout_s: seconds to wait for the store.

    Raises:
        StoreBusy, StoreUnusable: as :func:`pytest_repoagent.store.connection.writing`.
        InfrastructureError: the store cannot be written.
    """
    facts = json.loads(manifest)
    rows = {name.partition(".")[0]: file.get("rows", 0) for name, file in facts["files"].items()}
    values = [
        str(folder.absolute()),
        hashlib.sha256(manifest).hexdigest(),
        datetime.now(UTC).replace(tzinfo=None),
        facts["kind"],
        facts["format"],
        rows["train"],
        rows.get("val", 0),
        manifest.decode(),
    ]
    try:
        with writing(store, busy_timeout_s) as connection:
            connection.execute(sql("datasets.sql"))
            connection.execute(f"INSERT OR REPLACE INTO datasets VALUES ({', '.join('?' * len(values))})", values)
    except duckdb.Error as error:
        raise InfrastructureError(
            f"the store {store} cannot be written ({str(error).partition(chr(10))[0]})"
        ) from error
