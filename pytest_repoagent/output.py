"""What a rollout prints and logs while another one's item runs: kept beside its trace, and shown with its own item."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

import pytest

from pytest_repoagent.secrets import redact

FOLDER = "output"
_STREAMS = ("stdout", "stderr")
_thread = threading.local()


@dataclass
class Output:
    """What one thread said, by pytest's words for it: ``stdout``, ``stderr`` and ``log``."""

    texts: Mapping[str, io.StringIO] = field(
        default_factory=lambda: {name: io.StringIO() for name in (*_STREAMS, "log")}
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


class OutputPlugin:
    """Leads what a thread says to its :class:`Output`, and leaves what the items' own thread says to pytest.

    pytest changes ``sys.stdout`` before and after each phase of an item, so the lead is laid anew each time.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Ask whether pytest captures."""
        self._captures = config.getoption("capture") != "no"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Sort log records by thread."""
        keeper = _LogKeeper()
        handlers = []
        pytests = session.config.pluginmanager.get_plugin("logging-plugin")
        if pytests is not None:
            keeper.setFormatter(pytests.formatter)
            handlers = [pytests.caplog_handler, pytests.report_handler]
        root = logging.getLogger()
        with ExitStack() as undo:
            undo.callback(self._unsort)
            root.addHandler(keeper)
            undo.callback(root.removeHandler, keeper)
            for handler in handlers:
                handler.addFilter(_is_the_items)
                undo.callback(handler.removeFilter, _is_the_items)
            self._sort()
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Sort what is printed in this phase."""
        self._sort()
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Sort what is printed in this phase."""
        self._sort()
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Sort what is printed in this phase."""
        self._sort()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self) -> None:
        """Sort what is printed after a phase."""
        self._sort()

    def _sort(self) -> None:
        for name in _STREAMS if self._captures else ():
            stream = getattr(sys, name)
            if not isinstance(stream, _Router):
                setattr(sys, name, _Router(name, stream))

    def _unsort(self) -> None:
        for name in _STREAMS:
            stream = getattr(sys, name)
            if isinstance(stream, _Router):
                setattr(sys, name, stream.items)


class _Router:
    """A stream that is the thread's own where it has one, and the running item's where it has none."""

    def __init__(self, name: str, items: TextIO) -> None:
        self._name = name
        self.items = items

    def __getattr__(self, attribute: str) -> Any:
        output = _own()
        return getattr(output.texts[self._name] if output else self.items, attribute)


class _LogKeeper(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        output = _own()
        if output:
            output.texts["log"].write(self.format(record) + "\n")


def _is_the_items(record: logging.LogRecord) -> bool:
    return _own() is None


def _own() -> Output | None:
    return getattr(_thread, "output", None)


def _path(trace_path: Path) -> Path:
    return trace_path.parent / FOLDER / f"{trace_path.stem}.json"
