"""The private copies that test runs work in: pristine files, and the candidate laid over them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.testrun.base import Job

PREFIX = "repoagent-"
WORK = "work"
HOME = "home"


@contextmanager
def private_copy(job: Job) -> Iterator[Path]:
    """A fresh folder, filled with all of a job's files and removed afterwards.

    Raises:
        InfrastructureError: a file is missing or not a regular file, a path leaves the folder, or the disk failed.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    try:
        fill(folder, job.root, job.paths, job.counted())
        yield folder
    finally:
        remove(folder)


def fill(folder: Path, root: Path, paths: Iterable[str], texts: Mapping[str, str]) -> None:
    """Put files into ``work``, and beside it an empty ``home`` and an empty ``pytest.ini``.

    The ``pytest.ini`` ends pytest's search for a configuration in parent folders; one of the task's own is found
    before it. Bytecode is never copied: Python trusts it by whole seconds and size, and would run a stale program.

    Raises:
        InfrastructureError: as :func:`private_copy`.
    """
    try:
        (folder / WORK).mkdir()
        (folder / HOME).mkdir()
        (folder / "pytest.ini").touch()
    except OSError as error:
        raise InfrastructureError(f"The test folder {folder} cannot be filled: {error}.") from error
    for path in paths:
        if not is_bytecode(path):
            data, mode = read(root / path)
            _write(_inside(folder / WORK, path), data, 0o755 if mode & stat.S_IXUSR else 0o644)
    for path, text in texts.items():
        _write(_inside(folder / WORK, path), text.encode("utf-8", "surrogatepass"), 0o644)


def is_bytecode(path: str) -> bool:
    """Whether Python would keep compiled programs there."""
    return "__pycache__" in PurePosixPath(path).parts


def _inside(work: Path, path: str) -> Path:
    clean = PurePosixPath(path)
    if not clean.parts or clean.is_absolute() or ".." in clean.parts or str(clean) != path:
        raise InfrastructureError(f"The path {path!r} of a test run is not a clean path relative to its root.")
    return work / path


def read(source: Path) -> tuple[bytes, int]:
    """The bytes and the mode of a pristine file.

    Raises:
        InfrastructureError: it is missing, unreadable or not a regular file.
    """
    try:
        file = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"The pristine file {source} cannot be read: {error}.") from error
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise InfrastructureError(f"The pristine file {source} is not a regular file.")
        with os.fdopen(file, "rb", closefd=False) as reader:
            return reader.read(), mode
    finally:
        os.close(file)


def _write(target: Path, data: bytes, mode: int) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(mode)
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"The file {str(target)!r} of a test run cannot be written: {error}.") from error


def remove(folder: Path) -> None:
    """Remove what a hostile test may have left: folders without permissions or nested too deep for Python."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        if not folder.is_symlink():
            subprocess.run(["chmod", "-R", "u+rwx", "--", folder], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL, check=False)
    if os.path.lexists(folder):
        raise InfrastructureError(f"The test folder {folder} cannot be removed; remove it by hand.")
