"""One rollout's traces in its run's folder: a file for each attempt, and the lock that keeps others from another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_repoagent.fold import read_finished
from pytest_repoagent.models.base import RolloutKey
from pytest_repoagent.rollout import Rollout

LOCKS = "locks"


class Attempts:
    """The attempts at one rollout of a run, whichever process made them."""

    def __init__(self, run_dir: Path, key: RolloutKey, name: str) -> None:
        """Name the files after the task's ``name`` and the rollout; nothing is made yet."""
        self._run_dir = run_dir
        self._stem = f"{name}-r{key.index}-{digest(key.task_id, key.model, str(key.index))[:8]}"

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else makes or looks for an attempt, and will inside the block. A killed process lets go."""
        path = self._run_dir / LOCKS / self._stem
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def last(self) -> Rollout | None:
        """The rollout as the last attempt left it; None where there is none, or it was killed."""
        number = self.number()
        return read_finished(self.path(number - 1)) if number else None

    def number(self) -> int:
        """How many attempts were made; also the next one's number."""
        number = 0
        while self.path(number).exists():
            number += 1
        return number

    def path(self, number: int) -> Path:
        """The trace of attempt ``number``, from 0."""
        return self._run_dir / f"{self._stem}.{number:03}.jsonl"


def digest(*parts: str) -> str:
    """Names a sequence of strings; 64 hex digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
