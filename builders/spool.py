"""Objects kept on disk until it is known which of them are needed."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from pytest_repoagent.errors import InfrastructureError

T = TypeVar("T")


class Spool(Generic[T]):
    """A temporary file of objects, gone when the context is left; each is found again by the number it was given."""

    def __init__(self, folder: Path) -> None:
        """Make the file in ``folder``, without a name."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()

    def add(self, value: T) -> int:
        """Append an object, and return its number.

        Raises:
            InfrastructureError: the disk is full.
        """
        place = self._file.seek(0, 2)
        try:
            pickle.dump(value, self._file, pickle.HIGHEST_PROTOCOL)
        except OSError as error:
            raise InfrastructureError(f"a temporary file cannot be written: {error.strerror}") from error
        return place

    def get(self, numbers: Iterable[int]) -> Iterator[T]:
        """The objects with these numbers, in this order."""
        for number in numbers:
            self._file.seek(number)
            yield pickle.load(self._file)
