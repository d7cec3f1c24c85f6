"""Test functions that take nothing from pytest but their parameters, run without the hooks of its whole protocol.

Most tests of small programs are like that, and the hooks cost more than they do. What goes wrong in one still passes
through pytest's own reports, so that it reads as ever.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from pytest_repoagent.testrun.child import Reporter

FRAMES_LEFT_OUT = 14 if sys.version_info < (3, 12) else 12
"""How many frames of pytest's protocol are not in the stack below a test."""
_SPECIAL_MARKS = frozenset({"skip", "skipif", "xfail", "usefixtures", "filterwarnings"})
# What other plugins' hooks may do before the tests are run.
_EARLIER_HOOKS = ("pytest_addoption", "pytest_addhooks", "pytest_configure", "pytest_collect", "pytest_ignore_collect")
_OWN = ("_pytest.", "pytest_repoagent.testrun.")


def are_plain(session: pytest.Session, args: Iterable[str]) -> bool:
    """Whether all that a session has collected with the task's arguments of pytest is plain, and nobody looks on."""
    config = session.config
    return (
        not any(arg.startswith("-") for arg in (*args, *config.getini("addopts")))
        and not any(_has_a_say(plugin) for plugin in config.pluginmanager.get_plugins())
        and all(_is_plain(item) for item in session.items)
    )


class PlainTests:
    """A pytest plugin that runs plain tests."""

    def __init__(self, session: pytest.Session, reporter: Reporter) -> None:
        """Do beforehand what can be done before the process is forked."""
        manager = session.config.pluginmanager
        self._session = session
        self._reporter = reporter
        self._capture: Any = manager.getplugin("capturemanager")
        needed = (self, manager.getplugin("assertion"), manager.getplugin("warnings"))
        manager.register(self)
        self._protocol = manager.subset_hook_caller(
            "pytest_runtest_protocol", [plugin for plugin in manager.get_plugins() if plugin not in needed]
        )

    def run(self) -> bool:
        """Run all tests, as ``pytest_runtestloop`` does."""
        session = self._session
        for item in session.items:
            self._protocol(item=item, nextitem=None)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return True

    def pytest_runtest_protocol(self, item: pytest.Function) -> bool:
        """Run one test and report it."""
        reporter = self._reporter
        reporter.pytest_runtest_logstart(item.nodeid)
        os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"
        with self._capture.item_capture("call", item):
            call = pytest.CallInfo.from_call(
                partial(item.obj, **_parameters(item)), "call", reraise=(pytest.exit.Exception, KeyboardInterrupt)
            )
        if call.excinfo is None:
            reporter.passed(item.nodeid)
            return True
        reporter.phase_passed(item.nodeid, "setup")
        item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))
        reporter.phase_passed(item.nodeid, "teardown")
        return True


def _parameters(item: pytest.Function) -> Mapping[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _is_plain(item: pytest.Item) -> bool:
    return (
        type(item) is pytest.Function
        and item.cls is None
        and set(item.fixturenames) == set(_parameters(item))
        and not any(mark.name in _SPECIAL_MARKS for mark in item.iter_markers())
        and not any(len(mark.args) > 2 or mark.kwargs.get("indirect") for mark in item.iter_markers("parametrize"))
        and not hasattr(item.module, "pytest_generate_tests")
        and not inspect.iscoroutinefunction(item.obj)
        and not inspect.isasyncgenfunction(item.obj)
    )


def _has_a_say(plugin: object) -> bool:
    home = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
    return not home.startswith(_OWN) and any(
        name.startswith("pytest_") and not name.startswith(_EARLIER_HOOKS) for name in dir(plugin)
    )
