"""Test functions that take nothing from pytest but their parameters, run without the hooks of its whole protocol.

Most tests of small programs are like that, and the hooks cost more than they do. What goes wrong in one still passes
through pytest's own reports, so that it reads as ever.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

import pytest

from pytest_repoagent.testrun.child import Reporter, event

FRAMES_LEFT_OUT = 15 if sys.version_info < (3, 12) else 13
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
        and bool(session.items)
        and all(_is_plain(item) for item in session.items)
    )


class PlainTests:
    """A pytest plugin that runs plain tests, all of them within pytest's protocol for the first.

    What that does around a test (record warnings, explain assertions, capture output) is the same for all, so that it
    begins in the template, and each test only finds it as it was.
    """

    def __init__(self, session: pytest.Session, reporter: Reporter) -> None:
        """Do beforehand what can be done before the process is forked."""
        manager = session.config.pluginmanager
        self._session = session
        self._reporter = reporter
        self._capture: Any = manager.getplugin("capturemanager")
        self._tests = [
            (item, partial(item.obj, **_parameters(item)), event("started", item.nodeid), event("passed", item.nodeid))
            for item in session.items
            if isinstance(item, pytest.Function)
        ]
        self._begin: Callable[[], None]
        self._end: Callable[[], NoReturn]
        needed = (self, manager.getplugin("assertion"), manager.getplugin("warnings"))
        manager.register(self)
        self._protocol = manager.subset_hook_caller(
            "pytest_runtest_protocol", [plugin for plugin in manager.get_plugins() if plugin not in needed]
        )

    def run(self, begin: Callable[[], None], end: Callable[[], NoReturn]) -> NoReturn:
        """Run all tests, as ``pytest_runtestloop`` does, between calls of ``begin``, which forks, and ``end``."""
        self._begin, self._end = begin, end
        self._protocol(item=self._session.items[0], nextitem=None)
        raise AssertionError("the last test did not end the process")

    def pytest_runtest_protocol(self) -> NoReturn:
        """Run and report the tests."""
        session, reporter, environment = self._session, self._reporter, os.environ
        self._capture.resume_global_capture()
        stdout: Any = sys.stdout
        stderr: Any = sys.stderr
        filters, show = list(warnings.filters), warnings.showwarning
        self._begin()
        for item, test, started, passed in self._tests:
            reporter.write(started)
            environment["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"
            error = _outcome(test)
            if error is None:
                reporter.write(passed, later=True)
            else:
                self._report(item, error)
            sys.stdout, sys.stderr, warnings.showwarning = stdout, stderr, show
            if stdout.buffer.getvalue() or stderr.buffer.getvalue():
                self._capture.read_global_capture()
            if warnings.filters != filters:
                warnings.resetwarnings()
                warnings.filters = list(filters)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        self._end()

    def _report(self, item: pytest.Function, error: BaseException) -> None:
        """Have pytest make and take the report on a test that raised something."""
        call = pytest.CallInfo.from_call(
            partial(_raise, error), "call", reraise=(pytest.exit.Exception, KeyboardInterrupt)
        )
        for name, text in zip(("stdout", "stderr"), self._capture.read_global_capture(), strict=True):
            item.add_report_section("call", name, text)
        self._reporter.phase_passed(item.nodeid, "setup")
        item.ihook.pytest_runtest_logreport(report=item.ihook.pytest_runtest_makereport(item=item, call=call))
        self._reporter.phase_passed(item.nodeid, "teardown")


def _outcome(test: Callable[[], object]) -> BaseException | None:
    """What a test raises, as if pytest had called it."""
    try:
        test()
    except BaseException as error:
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    return None


def _raise(error: BaseException) -> NoReturn:
    __tracebackhide__ = True
    raise error


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
