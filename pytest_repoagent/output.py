"""What a rollout prints and logs while another one's item runs: kept beside its trace, and shown with its own item."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pytest_repoagent.secrets import redact

FOLDER = "output"
STREAMS = ("stdout", "stderr")
_thread = threading.local()


@dataclass
class Output:
    """What one thread said, by pytest's words for it: ``stdout``, ``stderr`` and ``log``."""

    texts: Mapping[str, io.StringIO] = field(
        default_factory=lambda: {name: io.StringIO() for name in (*STREAMS, "log")}
    )

    def save(self, trace_path: Path) -> None:
        """Keep it for :func:`sections`, if there is any."""
        said = {name: redact(text.getvalue()) for name, text in self.texts.items() if text.getvalue()}
        if said:
            path = _path(trace_path)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(said))


def sections(trace_path: Path) -> Mapping[str, str]:
    """What was said while the rollout of this trace ran ahead."""
    path = _path(trace_path)
    return cast("dict[str, str]", json.loads(path.read_text())) if path.exists() else {}


@contextmanager
def kept() -> Iterator[Output]:
    """Keep what this thread says inside the block out of the item that runs meanwhile."""
    _thread.output = Output()
    try:
        yield _thread.output
    finally:
        _thread.output = None


def of_this_thread() -> Output | None:
    """Where this thread's words are kept; None where they are the running item's."""
    return getattr(_thread, "output", None)


def _path(trace_path: Path) -> Path:
    return trace_path.parent / FOLDER / f"{trace_path.stem}.json"
