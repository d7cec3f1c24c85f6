"""How the store's file is opened: one at a time under a lock file, checked to be ours, for a bounded wait.

DuckDB lets one process write a file, or several read it, and refuses the rest. Taking turns by opening it again and
again has lost committed rows (DuckDB 2.0.0), so everybody takes ``STORE.lock`` first: writers until the file is closed
again, readers until it is open. What then still stands in the way is a reader, or a program that does not know the
lock file; that is waited for.

Nothing here may open the file by itself: POSIX drops every lock a process has on a file when it closes any
descriptor of it, DuckDB's included.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import InfrastructureError, UsageError

FORMAT = "pytest-repoagent"
SCHEMA_VERSION = 3
BUSY_TIMEOUT_S = 30.0
_POLL_S = 0.05
# A file of another database would otherwise send DuckDB to the network for an extension that reads it.
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
# Bytes, the least DuckDB allows: a store of few rollouts then has a seventh of the size, one of many a tenth less.
_BLOCK_SIZE = "16384"
# Rows, the least DuckDB allows. Row groups that bursts wrote are merged up to this size, and the room that they had is
# free then: with DuckDB's own 122880 rows, up to half the file.
_ROW_GROUP_SIZE = 2048
_READ_ONLY_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS}


class StoreBusy(InfrastructureError):
    """Another process has kept the store open for too long. Nothing is lost: traces hold what was to be written."""


class StoreUnusable(UsageError):
    """The file is no store that this version can use; it was not changed."""


def sql(name: str) -> str:
    """The text of a ``.sql`` file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@contextmanager
def writing(path: Path, busy_timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store, open for one burst of writes and closed after it; made first where there is none.

    A store of an earlier version is brought up to this one; a copy of it as it was is left beside it.

    Raises:
        StoreBusy: it did not become free in ``busy_timeout_s`` seconds.
        StoreUnusable: the file is something else, newer than this version, or damaged.
        InfrastructureError: its folder cannot be written.
    """
    deadline = time.monotonic() + busy_timeout_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path, deadline)
    except OSError as error:
        raise InfrastructureError(f"the store {path} cannot be written: {error}") from error
    try:
        if not path.exists():
            _create(path)
        connection = _open(path, deadline, read_only=False)
        if _version(connection) < SCHEMA_VERSION:
            connection = _kept_as_it_was(connection, path, deadline)
        with connection:
            _migrate(connection)
            _refresh_views(connection)
            yield connection
    finally:
        lock.release()


def reading(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> duckdb.DuckDBPyConnection:
    """The store, open for reading until the caller closes it; writers wait meanwhile.

    Where no lock file can be made, as on a read-only disk, the store is opened without one. A store of an earlier
    version is read as it is, with the columns and views it has.

    Raises:
        StoreBusy: a writer did not let go of it in ``busy_timeout_s`` seconds.
        StoreUnusable: there is no file, or it is something else, newer than this version, or damaged.
    """
    if not path.exists():
        raise StoreUnusable(f"there is no store at {path}: evaluate a model, or `repoagent ingest` recorded traces")
    deadline = time.monotonic() + busy_timeout_s
    try:
        lock = _lock(path, deadline)
    except OSError as error:
        if error.errno not in _READ_ONLY_PLACE:
            raise InfrastructureError(f"the store {path} cannot be locked: {error}") from error
        return _open(path, deadline, read_only=True)
    try:
        return _open(path, deadline, read_only=True)
    finally:
        lock.release()


def _lock(path: Path, deadline: float) -> FileLock:
    """The lock file, locked."""
    if path.is_dir():
        raise _unusable(path, "it is a folder")
    lock = FileLock(path.with_name(path.name + ".lock"), fallback_to_soft=False)
    try:
        lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=_POLL_S)
    except Timeout:
        raise _busy(path, "another session") from None
    return lock


def _open(path: Path, deadline: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = _connect(path, deadline, read_only)
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, deadline: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(path, read_only=True, config=CONFIG) if read_only else _attached(path)
        except duckdb.Error as error:
            holder = _holder(str(error))
            if holder is None:
                raise _unusable(path, str(error)) from error
            if time.monotonic() >= deadline:
                raise _busy(path, holder) from error
        time.sleep(_POLL_S)


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    """The file, open for writing; ``ATTACH`` alone can set the row group size."""
    connection = duckdb.connect(config={**CONFIG, "default_block_size": _BLOCK_SIZE})
    try:
        place = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{place}' AS store (ROW_GROUP_SIZE {_ROW_GROUP_SIZE})")
        connection.execute("USE store")
    except BaseException:
        connection.close()
        raise
    return connection


def _holder(text: str) -> str | None:
    """Who has the file open, in DuckDB's words; None where the error is another one."""
    if "different configuration" in text or "already attached" in text:
        return "this process itself"
    if "Could not set lock" not in text:
        return None
    found = re.search(r"Conflicting lock is held in (.*?\(PID \d+\))", text)
    return found[1] if found else "another process"


def _busy(path: Path, holder: str) -> StoreBusy:
    return StoreBusy(
        f"the store {path} is in use by {holder}; try again once that is done "
        f"(the traces hold what is not recorded yet, `repoagent ingest` picks it up)"
    )


def _unusable(path: Path, text: str) -> StoreUnusable:
    text = text.partition("\n")[0]
    if "WAL" in text:
        return StoreUnusable(
            f"the store {path} has a damaged log ({text}); move {path.name} and {path.name}.wal away and make it "
            f"anew with `repoagent ingest` from the traces"
        )
    return StoreUnusable(f"{path} cannot be used as a store ({text}); name another file")


def _create(path: Path) -> None:
    """Make the store beside its place and move it there, so that it is there whole or not at all."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + ".wal"), path.with_name(path.name + ".wal")):
        leftover.unlink(missing_ok=True)
    with _attached(unfinished) as connection:
        connection.execute(sql("schema.sql"))
        connection.execute(
            "INSERT INTO meta VALUES ('format', ?), ('schema_version', ?)", [FORMAT, str(SCHEMA_VERSION)]
        )
    unfinished.replace(path)


def _check(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    except duckdb.ProgrammingError:  # no such table, or not with these columns
        meta = {}
    if meta.get("format") != FORMAT:
        raise StoreUnusable(f"{path} is a DuckDB database, but no store of pytest-repoagent; name another file")
    if int(meta["schema_version"]) > SCHEMA_VERSION:
        raise StoreUnusable(
            f"the store {path} has schema version {meta['schema_version']}, but this pytest-repoagent knows only "
            f"{SCHEMA_VERSION}; upgrade pytest-repoagent, or name another file"
        )


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    ((found,),) = connection.execute("SELECT value::INTEGER FROM meta WHERE key = 'schema_version'").fetchall()
    return int(found)


def _kept_as_it_was(connection: duckdb.DuckDBPyConnection, path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    """Copy the file to ``STORE.vN`` for its version N, closed meanwhile, because DuckDB writes what is open."""
    copy = path.with_name(f"{path.name}.v{_version(connection)}")
    connection.close()
    unfinished = copy.with_name(copy.name + ".new")
    try:
        shutil.copyfile(path, unfinished)
        unfinished.replace(copy)
    except OSError as error:
        raise InfrastructureError(f"the older store {path} cannot be copied to {copy}: {error.strerror}") from error
    return _open(path, deadline, read_only=False)


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a file of an earlier version up to this one: a version at a time, each whole or not at all."""
    for version in range(_version(connection) + 1, SCHEMA_VERSION + 1):
        connection.begin()
        connection.execute(sql(f"migrate_{version}.sql"))
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(version)])
        connection.commit()


def _refresh_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the views of this version into the file if others are there."""
    views = sql("views.sql")
    mark = canonical_sha256(views)
    if connection.execute("SELECT value FROM meta WHERE key = 'views_sha256'").fetchone() == (mark,):
        return
    connection.begin()
    connection.execute(views)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('views_sha256', ?)", [mark])
    connection.commit()
