"""Ending a session before its time: the sign that each of its processes heeds between two calls of a model."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_repoagent.models.base import Conversation, Reply
from pytest_repoagent.protocol.actions import Message


class Stopped(BaseException):
    """The session ends before its time: a rollout in flight is left as it is, unfinished."""


class StopSign:
    """Says in every process of a session that it ends before its time."""

    def __init__(self, path: Path | None) -> None:
        """The sign is the file ``path``; None is for a process that is ended from outside."""
        self._path = path
        self._seen = threading.Event()

    def put_up(self, reason: str = "another process stopped the session") -> None:
        """Say it, and why; the first reason stays."""
        if self._path is not None and not self.is_up:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.{threading.get_ident()}")
            partial.write_text(reason)
            with suppress(FileExistsError):
                self._path.hardlink_to(partial)
            partial.unlink()
            self._seen.set()

    @property
    def reason(self) -> str:
        """Why it was said."""
        assert self._path is not None
        return self._path.read_text()

    @property
    def is_up(self) -> bool:
        """Whether somebody said it."""
        if self._path is not None and not self._seen.is_set() and self._path.exists():
            self._seen.set()
        return self._seen.is_set()

    def heed(self) -> None:
        """Go on only while nobody said it.

        Raises:
            Stopped: somebody did.
        """
        if self.is_up:
            raise Stopped


@dataclass(frozen=True)
class Stoppable:
    """A conversation that ends where the session does."""

    conversation: Conversation
    stop: StopSign

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The conversation's reply.

        Raises:
            Stopped: the session ends before its time.
        """
        self.stop.heed()
        return self.conversation.reply(messages)
