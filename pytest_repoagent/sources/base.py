"""What a task source is: something that knows a task's pristine files, and its known fix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_repoagent.suites import Suite, Task


@dataclass(frozen=True)
class TaskFiles:
    """The pristine regular files of one task: ``paths`` below ``root``, which nobody writes to."""

    root: Path
    paths: tuple[str, ...]


class Source(Protocol):
    """Serves the tasks of one suite. Building it checks that the files are those that the suite pins."""

    def files(self, task: Task) -> TaskFiles:
        """The task's pristine files."""
        ...

    def fix(self, task: Task) -> Mapping[str, str]:
        """Workspace path -> corrected text.

        Raises:
            SourceError: no fix is known, or it is not the one that the suite pins.
        """
        ...


@dataclass(frozen=True)
class SourceContext:
    """What a source may be built from.

    Attributes:
        quixbugs: path or URL of a copy of QuixBugs (``--quixbugs``), None where none was given.
        suite: whose tasks to serve.
        cache_dir: folder for what is fetched once.
    """

    quixbugs: str | None
    suite: Suite
    cache_dir: Path


def default_cache_dir() -> Path:
    """``$XDG_CACHE_HOME/pytest-repoagent``, below ``~/.cache`` where that is unset (XDG base directory spec)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pytest-repoagent"
