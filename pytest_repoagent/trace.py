r"""The append-only JSONL trace of one rollout: the source of truth until it is in the store.

One JSON object a line, each with ``kind`` and ``ts`` (UTC, ISO 8601). In order, with every field:

``run_start``
    ``schema`` (1), ``rollout_id``, ``run_id``, ``task_id``, ``model``, ``index``, ``seed``, ``attempt``,
    ``run`` (the run's facts: ``settings``, ``settings_hash``, ``suite``, ``suite_sha256``, ``split``, ``source``,
    ``commit``, ``versions``, ``started_at``, ``runner``, ``sandbox``), ``task`` (``family``, ``metadata``,
    ``expected_files``).
``llm_request``
    ``step``, ``new_messages`` (what the conversation gained since the last request besides the assistant's reply,
    which is the last step's ``raw``; so a trace grows linearly), ``window``, ``prompt_sha256`` (of the messages
    after the window policy).
``llm_action``
    ``step``, ``raw``, ``finish_reason``, ``action``, ``error_code``, ``error_message``, ``strict_valid``,
    ``lenient_valid``, ``repair``, ``flags``, ``prompt_tokens``, ``completion_tokens``, ``latency_s``, ``extra``.
``tool_result``
    ``step``, ``ok``, ``code``, ``content``, ``duration_s``.
``test_run``
    ``step`` (null for the run at the end), ``passed``, ``reason``, ``counts``, ``text``, ``duration_s``,
    ``cpu_s``, ``runner``, ``judge``, ``sandbox``.
``final``
    ``step``, ``summary``, ``changes``.
``run_end``
    ``outcome``, ``success``, ``error``, ``cause``, ``duration_s``, ``diff``, ``files_touched``, ``loop_detections``,
    ``reflection_count``, ``cost_usd``.

Traces of before the sandbox lack ``judge`` and ``sandbox``, and ``runner`` and ``sandbox`` of ``run``.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCHEMA = 1

LONGEST_LINE = 8 * 2**20
"""Bytes of an event; what is longer is no trace of an agent, and is not read into memory."""
LARGEST_FILE = 128 * 2**20
"""Bytes of a file, likewise."""


class Events:
    """The events of one rollout, kept in memory."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event; a full disk or an unserialisable field raises."""
        self.append({"kind": kind, "ts": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields})

    def append(self, event: dict[str, Any]) -> None:
        """Append an event of another trace, as it is."""
        self.events.append(event)


class Trace(Events):
    """Writes one trace. The file must not exist; each event is one ``write`` of one line."""

    def __init__(self, path: Path) -> None:
        """Create the file and its folders.

        Raises:
            FileExistsError: there is a trace at ``path`` already.
        """
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def append(self, event: dict[str, Any]) -> None:
        """Append an event, also to the file."""
        view = memoryview(_encode(event) + b"\n")
        while view:
            view = view[os.write(self._fd, view) :]
        super().append(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Make what was written durable, then close."""
        os.fsync(self._fd)
        os.close(self._fd)


def _encode(event: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a model may write half a surrogate pair; only an escape can carry it
        return json.dumps(event, separators=(",", ":")).encode()


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends, one at a time in memory.

    Raises:
        ValueError: it is no regular file, or larger than :data:`LARGEST_FILE`, or a line than :data:`LONGEST_LINE`.
        OSError: the file cannot be read.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no regular file")
        size, read, number = facts.st_size, 0, 0
        while max(size, read) <= LARGEST_FILE:
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            read, number = read + len(line), number + 1
            if len(line) > LONGEST_LINE:
                raise ValueError(f"its line {number} is longer than {LONGEST_LINE >> 20} MiB")
            yield line
        raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MiB")


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    """The events of a trace; a torn last line (a killed writer) ends it quietly.

    Raises:
        ValueError: a line before the last is not a JSON object with a ``kind``; names file and line. Or as
            :func:`lines`.
        OSError: the file cannot be read.
    """
    for number, line in enumerate(lines(path), 1):
        torn = not line.endswith(b"\n")
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
                raise ValueError("not an event")
        except ValueError as error:
            if torn:
                return
            raise ValueError(f"{path}:{number} is not a trace event: {error}") from None
        yield event


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe would else be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
