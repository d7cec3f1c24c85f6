"""Keeps what rollouts say while another one's item runs out of what pytest captures for that item."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any, TextIO

import pytest

from pytest_repoagent import output


class OutputPlugin:
    """Leads what a thread says to :mod:`pytest_repoagent.output`, and leaves what the items' own thread says to pytest.

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
        for name in output.STREAMS if self._captures else ():
            stream = getattr(sys, name)
            if not isinstance(stream, _Router):
                setattr(sys, name, _Router(name, stream))

    def _unsort(self) -> None:
        for name in output.STREAMS:
            stream = getattr(sys, name)
            if isinstance(stream, _Router):
                setattr(sys, name, stream.items)


class _Router:
    """A stream that is the thread's own where it has one, and the running item's where it has none."""

    def __init__(self, name: str, items: TextIO) -> None:
        self._name = name
        self.items = items

    def __getattr__(self, attribute: str) -> Any:
        own = output.of_this_thread()
        return getattr(own.texts[self._name] if own else self.items, attribute)


class _LogKeeper(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        own = output.of_this_thread()
        if own:
            own.texts["log"].write(self.format(record) + "\n")


def _is_the_items(record: logging.LogRecord) -> bool:
    return output.of_this_thread() is None
