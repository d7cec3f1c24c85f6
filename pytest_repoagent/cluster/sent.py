"""A task's pristine files on their way to nodes that have no copy of their source."""

from __future__ import annotations

import hashlib
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import TaskFiles, default_cache_dir
from pytest_repoagent.sources.git import make_once

Content = Mapping[str, tuple[bytes, bool]]
"""Path -> bytes, and whether the file is executable."""


@dataclass(frozen=True)
class SentFiles:
    """Files by what is in them: ``ref`` refers to their :data:`Content`, of which ``digest`` is the hash."""

    digest: str
    ref: Any

    def unpack(self) -> TaskFiles:
        """Write them to this machine's cache, once.

        Raises:
            SourceError: that cannot be done, or somebody has changed them there.
        """
        folder = default_cache_dir() / "sent" / self.digest
        make_once(folder, lambda unfinished: _write(unfinished, self.ref.future().result()))
        paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        files = TaskFiles(folder, tuple(paths))
        if digest(read(files)) != self.digest:
            raise SourceError(f"somebody has changed the files in {folder} on {socket.gethostname()}: delete it")
        return files


def read(files: TaskFiles) -> Content:
    """What is in a task's files."""
    return {path: _file(files.root / path) for path in files.paths}


def digest(content: Content) -> str:
    """Names the content; 64 hex digits."""
    sha256 = hashlib.sha256()
    for path, (data, executable) in sorted(content.items()):
        sha256.update(f"{path}\0{executable}\0{len(data)}\0".encode() + data)
    return sha256.hexdigest()


def _file(path: Path) -> tuple[bytes, bool]:
    return path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR)


def _write(folder: Path, content: Content) -> None:
    for path, (data, executable) in content.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o755 if executable else 0o644)
