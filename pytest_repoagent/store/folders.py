"""Folders that exported runs are shared in: of this machine, or of an object store that fsspec knows (``s3://...``)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import duckdb

from pytest_repoagent.errors import InfrastructureError, UsageError


class Folder(Protocol):
    """A folder by its path or URL, which is what ``str`` gives."""

    def files(self, pattern: str) -> list[str]:
        """The files that match, in order, as DuckDB names them.

        Raises:
            InfrastructureError: the folder cannot be reached.
        """
        ...

    def let_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Have a connection read files of the folder."""
        ...

    def new(self, name: str) -> AbstractContextManager[Path]:
        """A file of this machine to write to; at the end of the block it is whole in the folder, or not there.

        Raises:
            InfrastructureError: it cannot be written.
        """
        ...


def find(place: str) -> Folder:
    """The folder of a path or URL.

    Raises:
        UsageError: what its protocol needs is not installed, or nobody knows the protocol.
    """
    return _Remote(place) if "://" in place else _Local(Path(place))


class _Local:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def files(self, pattern: str) -> list[str]:
        return [str(path) for path in sorted(self._path.glob(pattern))]

    def let_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        pass

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        path = self._path / name
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield unfinished
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        except (OSError, duckdb.IOException) as error:
            raise _not_written(path, error) from error


class _Remote:
    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs

            self._system, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"{url} cannot be used: {error}; s3:// needs `pip install 'pytest-repoagent[s3]'`, other protocols the "
                "package that fsspec has for them"
            ) from None
        self._url = url.rstrip("/")

    def __str__(self) -> str:
        return self._url

    def files(self, pattern: str) -> list[str]:
        try:
            found = self._system.glob(f"{self._root.rstrip('/')}/{pattern}")
        except Exception as error:  # each protocol has its own
            raise InfrastructureError(f"{self._url} cannot be reached: {_reason(error)}") from error
        return [self._system.unstrip_protocol(name) for name in sorted(found)]

    def let_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(self._system)

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        url = f"{self._url}/{name}"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            try:
                yield path
            except duckdb.IOException as error:
                raise _not_written(url, error) from error
            try:
                self._system.put_file(str(path), f"{self._root.rstrip('/')}/{name}")
            except Exception as error:  # each protocol has its own
                raise _not_written(url, error) from error


def _not_written(path: Path | str, error: Exception) -> InfrastructureError:
    return InfrastructureError(f"{path} was not written: {_reason(error)}")


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
