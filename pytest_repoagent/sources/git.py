"""The little of git that sources need: the exact files of one commit, out of a local repository or a URL."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock

from pytest_repoagent.errors import SourceError
from pytest_repoagent.suite_fields import clean_path

TIMEOUT_S = 300.0
"""Seconds that one git command may take; a clone is the longest."""
_URL = re.compile(r"[a-z]+://|[^/:]+@[^/:]+:")
_BATCH = 200


@dataclass(frozen=True)
class Blob:
    """A regular file of a commit: its path, the hash git knows its content by, and whether it is executable."""

    path: str
    oid: str
    executable: bool


@dataclass(frozen=True)
class Repository:
    """A local repository: a work tree, a git directory or a bare clone."""

    location: Path

    @classmethod
    def open(cls, location: str, base: Path, commits: Iterable[str], cache_dir: Path) -> Self:
        """The repository at a path relative to ``base``, or a clone of the one at a URL, made once.

        Raises:
            SourceError: it cannot be had, or lacks one of the ``commits``.
        """
        if not _URL.match(location):
            repository = cls(base / location)
            if not repository.location.is_dir():
                raise SourceError(f"there is no folder {repository.location}")
            repository._git("rev-parse", "--git-dir")
            missing = [commit for commit in commits if not repository._has(commit)]
        else:
            clone = cache_dir / "clones" / hashlib.sha256(location.encode()).hexdigest()[:16]
            make_once(clone, lambda unfinished: _git("clone", "--quiet", "--bare", "--", location, str(unfinished)))
            repository = cls(clone)
            missing = [commit for commit in commits if not repository._has(commit)]
            if missing:
                with FileLock(f"{clone}.lock"):
                    repository._git("fetch", "--quiet", "--tags", "--", location, "+refs/heads/*:refs/heads/*")
                missing = [commit for commit in missing if not repository._has(commit)]
        if missing:
            raise SourceError(f"the git repository {_without_login(location)} has no commit {missing[0]}")
        return repository

    def blobs(self, commit: str) -> tuple[Blob, ...]:
        """The regular files of a commit; symbolic links and submodules are left out.

        Raises:
            SourceError: git failed, or a path could lead out of the tree.
        """
        blobs = []
        for entry in self._git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
            facts, _, path = entry.partition(b"\t")
            mode, _, oid = facts.decode().split()
            if not mode.startswith("100"):
                continue
            try:
                blobs.append(Blob(clean_path(path.decode()), oid, mode == "100755"))
            except ValueError:
                raise SourceError(f"{self.location}: commit {commit} has an unusable path, {path!r}") from None
        return tuple(blobs)

    def read(self, commit: str, path: str) -> bytes:
        """The content of a file of a commit.

        Raises:
            SourceError: there is none.
        """
        return self._git("cat-file", "blob", f"{commit}:{path}")

    def export(self, commit: str, folder: Path) -> None:
        """Write the commit's regular files, byte for byte, into the new folder ``folder``.

        Raises:
            SourceError: git failed.
        """
        folder.mkdir()
        blobs = self.blobs(commit)
        for start in range(0, len(blobs), _BATCH):
            batch = blobs[start : start + _BATCH]
            for blob, content in zip(batch, self._contents(batch), strict=True):
                file = folder / blob.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                file.chmod(0o755 if blob.executable else 0o644)

    def _contents(self, blobs: Sequence[Blob]) -> Iterable[bytes]:
        output = self._git("cat-file", "--batch", stdin="".join(f"{blob.oid}\n" for blob in blobs).encode())
        at = 0
        for _ in blobs:
            header_end = output.index(b"\n", at)
            size = int(output[at:header_end].split()[2])
            at = header_end + 1 + size + 1
            yield output[at - 1 - size : at - 1]

    def _has(self, commit: str) -> bool:
        return _run("cat-file", "-e", f"{commit}^{{commit}}", at=self.location).returncode == 0

    def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return _git(*arguments, at=self.location, stdin=stdin)


def make_once(folder: Path, make: Callable[[Path], object]) -> None:
    """Let ``make`` make ``folder``, whole or not at all, once however many processes want it at the same time.

    Raises:
        SourceError: it cannot be written.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if folder.is_dir():
                return
            with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as temporary:
                unfinished = Path(temporary) / folder.name
                make(unfinished)
                unfinished.rename(folder)
    except OSError as error:
        raise SourceError(f"the cache folder {folder} cannot be written ({error.strerror})") from None


def blob_oid(content: bytes, like: str) -> str:
    """The hash git knows ``content`` by, SHA-1 or SHA-256 as the hash ``like`` is."""
    algorithm = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return algorithm(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _git(*arguments: str, at: Path | None = None, stdin: bytes = b"") -> bytes:
    done = _run(*arguments, at=at, stdin=stdin)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        reason = next((line for line in lines if line.startswith("fatal: ")), lines[-1]).removeprefix("fatal: ")
        raise SourceError(f"git {arguments[0]} failed: {_without_login(reason)}")
    return done.stdout


def _run(*arguments: str, at: Path | None, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["git", *(("-C", str(at)) if at else ()), *arguments]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, env=_environment(), timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} took more than {TIMEOUT_S:g} s") from None


def _without_login(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)


def _environment() -> dict[str, str]:
    """No prompts, and no repository inherited from a git hook."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": ssh, "LC_ALL": "C"}
