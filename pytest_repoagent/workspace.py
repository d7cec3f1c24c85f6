"""A task's private files: pristine ones below a read-only root, with what the agent wrote laid over them.

Nothing the agent asks for reaches the file system: a path is a key, checked and normalised, and writes stay in
memory. There is therefore nothing to escape from, and nothing to clean up.
"""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_repoagent.program_files import is_program_file

MAX_WRITE_CHARS = 1_000_000
MAX_WRITTEN_FILES = 100
MAX_PATH_CHARS = 300
MAX_NAME_BYTES = 255
MAX_REPLACED_BYTES = 4 << 20


class Refused(Exception):
    """A tool call that was understood and cannot be done. ``code`` is one of the taxonomy's value or tool codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Excerpt:
    """The start of a file. ``size`` is the whole file's size in bytes, ``cut`` says whether text is missing."""

    text: str
    size: int
    cut: bool


class Workspace:
    """One rollout's view of one task's files."""

    def __init__(self, root: Path, paths: Iterable[str], editable: Iterable[str]) -> None:
        """Lay an empty overlay over ``paths`` (relative, regular files) below ``root``.

        ``editable`` are the path prefixes of files that the judge takes from the agent.
        """
        self._root = root
        self._editable = tuple(editable)
        self._base = frozenset(paths)
        self.written: dict[str, str] = {}

    def paths(self, rel_dir: str = ".") -> list[str]:
        """All files below a directory, sorted.

        Raises:
            Refused: ``not_found`` where there is no such directory, or a path code.
        """
        folder = normalise(rel_dir)
        every = sorted(self._base | self.written.keys())
        if folder == ".":
            return every
        if folder in self._base or folder in self.written:
            raise Refused("not_found", f"{_show(folder)} is a file, not a directory")
        below = [p for p in every if p.startswith(folder + "/")]
        if not below:
            raise Refused("not_found", f"there is no directory {_show(folder)}")
        return below

    def excerpt(self, rel_path: str, max_chars: int) -> Excerpt:
        """The first ``max_chars`` characters; reads no more of a huge file than that needs.

        Raises:
            Refused: ``not_found``, ``is_directory``, ``binary_file``, or a path code.
        """
        path = self._existing(rel_path)
        if path in self.written:
            text = self.written[path]
            return Excerpt(text[:max_chars], len(text.encode()), len(text) > max_chars)
        head, size = self._read(path, 4 * max_chars + 1)
        if b"\0" in head[:8192]:
            raise Refused("binary_file", f"{_show(path)} is not text")
        text = head.decode("utf-8", "replace")
        return Excerpt(text[:max_chars], size, len(text) > max_chars or len(head) < size)

    def text(self, path: str) -> str | None:
        """A whole file as text, or None where it is missing or too large to be replaced."""
        return self.written[path] if path in self.written else self._pristine(path)

    def data(self, path: str, max_bytes: int) -> bytes | None:
        """A file's bytes for searching; None for one that is larger than ``max_bytes`` or not text."""
        if path in self.written:
            data, size = self.written[path].encode(), 0
        else:
            data, size = self._read(path, max_bytes)
        return None if max(size, len(data)) > max_bytes or b"\0" in data[:8192] else data

    def write(self, rel_path: str, content: str) -> str:
        """Replace or create a file, and return its normalised path.

        Raises:
            Refused: ``is_directory``, ``protected_path``, ``too_large``, ``binary_file``, or a path code.
        """
        path = normalise(rel_path)
        if path == "." or any(p.startswith(path + "/") for p in self._base | self.written.keys()):
            raise Refused("is_directory", f"{_show(path)} is a directory")
        for parent in _parents(path):
            if parent in self._base or parent in self.written:
                raise Refused("is_directory", f"{_show(parent)} is a file, so nothing can be below it")
        if ".git" in path.split("/"):
            raise Refused("protected_path", "the repository's history is not part of the workspace")
        if len(content) > MAX_WRITE_CHARS:
            raise Refused("too_large", f"content has {len(content)} characters; the most is {MAX_WRITE_CHARS}")
        if path in self._base and self._read(path, 0)[1] > MAX_REPLACED_BYTES:
            raise Refused("too_large", f"{_show(path)} is too large to be replaced")
        if path not in self.written and len(self.written) >= MAX_WRITTEN_FILES:
            raise Refused("too_large", f"{MAX_WRITTEN_FILES} files were written already")
        if re.search("[\ud800-\udfff]", content):
            raise Refused("binary_file", "content holds half of a surrogate pair, which no file can hold")
        self.written[path] = content
        return path

    def touched(self) -> tuple[str, ...]:
        """Files whose content is not the pristine one, sorted."""
        return tuple(sorted(p for p, text in self.written.items() if text != self._pristine(p)))

    def is_judged(self, path: str) -> bool:
        """Whether the judge takes the agent's copy of a file."""
        return is_program_file(path, self._editable)

    def candidate(self) -> dict[str, str]:
        """The changed files that the judge takes."""
        return {path: self.written[path] for path in self.touched() if self.is_judged(path)}

    def diff(self) -> str:
        """A unified diff of everything the agent changed."""
        out: list[str] = []
        for path in self.touched():
            before = self._pristine(path)
            out += _unified(before, self.written[path], path)
        return "".join(out)

    def _existing(self, rel_path: str) -> str:
        path = normalise(rel_path)
        every = self._base | self.written.keys()
        if path in every:
            return path
        if path == "." or any(p.startswith(path + "/") for p in every):
            raise Refused("is_directory", f"{_show(path)} is a directory; list_files shows what is in it")
        close = difflib.get_close_matches(path, sorted(every), n=1)
        raise Refused("not_found", f"there is no file {_show(path)}" + (f"; there is {close[0]}" if close else ""))

    def _pristine(self, path: str) -> str | None:
        if path not in self._base:
            return None
        data, size = self._read(path, MAX_REPLACED_BYTES)
        return data.decode("utf-8", "replace") if size <= MAX_REPLACED_BYTES else None

    def _read(self, path: str, max_bytes: int) -> tuple[bytes, int]:
        file = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = os.fstat(file).st_size
            return os.read(file, min(max_bytes, size)), size
        finally:
            os.close(file)


def normalise(rel_path: str) -> str:
    r"""The one spelling of a relative path: forward slashes, no ``.`` or ``..`` parts.

    Raises:
        Refused: ``empty_value``, ``path_absolute`` (``/x``, ``C:\x``, ``~/x``) or ``path_escape`` (leaves the root,
            holds control characters, or is absurdly long).
    """
    if not rel_path.strip():
        raise Refused("empty_value", 'the path is empty; the root is "."')
    if max(len(part.encode("utf-8", "replace")) for part in re.split(r"[/\\]", rel_path)) > MAX_NAME_BYTES:
        raise Refused("path_escape", "that is no path of this repository: a name in it is too long")
    if len(rel_path) > MAX_PATH_CHARS or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in rel_path):
        raise Refused("path_escape", "that is no path of this repository")
    path = rel_path.strip().replace("\\", "/")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        raise Refused("path_absolute", f"{_show(path)} is absolute; give it relative to the repository root")
    path = posixpath.normpath(path)
    if path == ".." or path.startswith("../"):
        raise Refused("path_escape", f"{_show(rel_path)} is outside the repository")
    return path


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _show(path: str) -> str:
    return path if len(path) <= 80 else path[:77] + "..."


def _unified(before: str | None, after: str, path: str) -> list[str]:
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True),
        after.splitlines(keepends=True),
        "/dev/null" if before is None else f"a/{path}",
        f"b/{path}",
    )
    return [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines]
