"""Keeps what rollouts say while another one's item runs out of what pytest captures for that item."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, TextIO

import pytest

from pytest_repoagent import output


class OutputPlugin:
    """Leads what a thread says to :mod:`pytest_repoagent.output`; what the items' own thread says is pytest's."""

    def __init__(self, config: pytest.Config) -> None:
        """Ask whether pytest captures."""
        self._captures = config.getoption("capture") != "no"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Sort what is printed and logged by thread."""
        keeper = _LogKeeper()
        handlers = []
        pytests = session.config.pluginmanager.get_plugin("logging-plugin")
        if pytests is not None:
            keeper.setFormatter(pytests.formatter)
            handlers = [pytests.caplog_handler, pytests.report_handler]
        root = logging.getLogger()
        with ExitStack() as undo:
            if self._captures:
                undo.enter_context(_sorted_streams())
            root.addHandler(keeper)
            undo.callback(root.removeHandler, keeper)
            for handler in handlers:
                handler.addFilter(_is_the_items)
                undo.callback(handler.removeFilter, _is_the_items)
            return (yield)


@contextmanager
def _sorted_streams() -> Iterator[None]:
    """Lay a :class:`_Router` over the standard streams, and over all that take their place inside the block.

    pytest puts others there for each phase of an item, and a thread may print at any time between.
    """
    before = type(sys)

    class Sys(before):  # type: ignore[misc, valid-type]
        def __setattr__(self, name: str, value: Any) -> None:
            if name in output.STREAMS and not isinstance(value, _Router):
                value = _Router(name, value)
            super().__setattr__(name, value)

        def __reduce__(self) -> tuple[Any, ...]:
            return import_module, ("sys",)  # what is sent to Ray nodes may use the module

    sys.__class__ = Sys
    try:
        for name in output.STREAMS:
            setattr(sys, name, getattr(sys, name))
        yield
    finally:
        sys.__class__ = before
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
