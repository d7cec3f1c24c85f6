"""The folder that runs take place in: emptied and filled for each of them, and never replaced."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Container, Mapping
from pathlib import Path

Files = Mapping[str, bytes]
"""Relative path -> content."""


class Littered(Exception):
    """A run left folders that cannot be removed; another server has another place."""


class Scratch:
    """A folder with two others, for barriers are tied to folders, not to their names.

    Attributes:
        folder: the folder itself.
        work: where the program is, and the tests where both share a process.
        home: an empty folder of the tests' own.
    """

    def __init__(self, folder: str) -> None:
        """Make the folders."""
        self.folder = folder
        self.work, self.home = f"{folder}/work", f"{folder}/home"
        self._places = self.work, self.home
        for place in self._places:
            os.makedirs(place)
        self._origin = [_identity(place) for place in self._places]

    def refill(self, program: Files, tests: Path | None = None) -> None:
        """Empty the folder and put a program into ``work``, over a copy of the folder ``tests``.

        Raises:
            Littered: it cannot be emptied.
        """
        self._clear()
        if tests:
            _copy(str(tests), self.work)
        made = {self.work}
        for path, data in program.items():
            file = f"{self.work}/{path}"
            folder = file.rpartition("/")[0]
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                pkgutil.get_importer(folder)  # which remembers it, so that the forks need not find out
                made.add(folder)
            with open(file, "wb", buffering=0) as writer:
                writer.write(data)

    def _clear(self) -> None:
        try:
            if [_identity(place) for place in self._places] != self._origin:
                raise Littered(self.folder)
            for place in (self.folder, *self._places):
                _empty(place, self._places)
        except (OSError, RecursionError) as error:
            raise Littered(self.folder) from error


def _identity(place: str) -> tuple[int, ...]:
    """What makes a folder that folder."""
    facts = os.lstat(place)
    return facts.st_dev, facts.st_ino, facts.st_mode


def _copy(folder: str, target: str) -> None:
    """Copy what is in a folder of plain files; not by shutil, whose libraries every fork would have to carry."""
    with os.scandir(folder) as entries:
        for entry in entries:
            copy = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(copy)
                _copy(entry.path, copy)
                continue
            with open(entry.path, "rb") as reader, open(copy, "xb") as writer:
                writer.write(reader.read())
            os.chmod(copy, entry.stat().st_mode)


def _empty(folder: str, keep: Container[str]) -> None:
    """Remove everything but ``keep``, where no process is left that could put a link in a folder's place."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
        elif entry.path not in keep:
            _empty(entry.path, ())
            os.rmdir(entry.path)
