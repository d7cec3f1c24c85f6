"""The test process: bounds itself, runs pytest and streams pytest's reports to the driver.

It runs as a script under any Python from 3.8 that has pytest, so it imports nothing of this package. Its settings
come as one JSON object on standard input: ``channel`` (a file descriptor), ``nonce``, ``driver_pid``, ``cpu_s``,
``memory_bytes``, ``file_bytes`` and pytest's ``args``. Each line it writes to the channel is the nonce, a space and
one of the JSON objects described in ``events.py``.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pytest

PR_SET_PDEATHSIG = 1
OPEN_FILES = 256
CPU_GRACE_S = 1
IDS_PER_EVENT = 500
TEXT_CHARS = 8000
STDOUT_CHARS = 1000
COLLAPSE_CHARS = 200_000

_TOGETHER_WITH_THE_NEXT = frozenset({"report", "passed"})
_REPEATED_LINES = re.compile(r"(?m)^((?:.*\n){1,8}?)\1{2,}")

# A test may have replaced these when its report is sent.
_write, _getpid, _exit, _encode = os.write, os.getpid, os._exit, json.JSONEncoder().encode


def clip(text: str, limit: int) -> str:
    """The head and the tail of ``text``, ``limit`` characters together."""
    return text if len(text) <= limit else f"{text[: limit // 2]}\n[...]\n{text[-(limit // 2) :]}"


def bounded(text: str, limit: int = TEXT_CHARS) -> str:
    """``text`` as UTF-8 can carry it, without runs of repeated lines (deep recursion), head and tail only."""
    text = _REPEATED_LINES.sub(r"\1[these lines repeat]\n", clip(text, COLLAPSE_CHARS))
    return clip(text, limit).encode("utf-8", "backslashreplace").decode("utf-8")


def _why(report: pytest.CollectReport | pytest.TestReport) -> str:
    """What a report that is not a plain pass says."""
    if hasattr(report, "wasxfail"):
        return "marked xfail " + report.wasxfail
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    return report.longreprtext


def event(kind: str, nodeid: str) -> str:
    """An event that says no more than which test it is about, as JSON."""
    return _encode({"kind": kind, "id": bounded(nodeid)})


class Reporter:
    """A pytest plugin that sends what happens to the driver, and keeps it until there is a channel to send it on."""

    def __init__(self) -> None:
        self._channel = -1
        self._pid = -1
        self._prefix = ""
        self._held: list[str] = []

    def attach(self, channel: int, nonce: str) -> None:
        """Send from now on, in this process alone, each line to the file descriptor ``channel`` behind ``nonce``."""
        self._channel = channel
        self._prefix = nonce + " "
        self._pid = _getpid()
        self._flush()

    def send(self, kind: str, **fields: Any) -> None:
        """Write one event; how a test ended is written together with what comes next."""
        self.write(_encode({"kind": kind, **fields}), later=kind in _TOGETHER_WITH_THE_NEXT)

    def write(self, event: str, later: bool = False) -> None:
        """Write an event that is JSON already, or have it written together with what comes next."""
        self._held.append(event)
        if self._channel >= 0 and not later:
            self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, []
        if _getpid() != self._pid:  # a fork that a test left running pytest stays silent
            return
        data = "".join([f"{self._prefix}{event}\n" for event in held]).encode("ascii")
        while data:
            data = data[_write(self._channel, data) :]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file or folder that could not be collected, or that skipped itself."""
        if report.outcome != "passed":
            self.send("not_collected", id=bounded(report.nodeid), outcome=report.outcome, text=bounded(_why(report)))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The ids of the tests that are going to run."""
        ids = [bounded(item.nodeid) for item in session.items]
        for first in range(0, max(len(ids), 1), IDS_PER_EVENT):
            self.send("collected", ids=ids[first : first + IDS_PER_EVENT])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test starts."""
        self.write(event("started", nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test, or one of its subtests, ended."""
        xfail = hasattr(report, "wasxfail")
        failed = report.outcome == "failed"
        self.send(
            "report",
            id=bounded(report.nodeid),
            when=report.when,
            outcome=report.outcome,
            xfail=xfail,
            subtest=hasattr(report, "context"),
            text=bounded(_why(report)) if failed or xfail or report.outcome == "skipped" else "",
            stdout=bounded(report.capstdout, STDOUT_CHARS) if failed else "",
        )

    def phase_passed(self, nodeid: str, when: str) -> None:
        """One phase of a test passed."""
        fields = {"outcome": "passed", "xfail": False, "subtest": False, "text": "", "stdout": ""}
        self.send("report", id=bounded(nodeid), when=when, **fields)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Pytest itself gave up."""
        self.send("stopped", internal=True, text=bounded(excinfo.exconly(), STDOUT_CHARS))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """KeyboardInterrupt or ``pytest.exit``."""
        self.send("stopped", internal=False, text=bounded(excinfo.exconly(), STDOUT_CHARS))


def die_with(driver_pid: int) -> None:
    """Be killed when the driver's thread that started this process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver_pid:
        sys.exit("the driver has ended")


def limit(which: int, soft: int, hard: int) -> None:
    """Set a resource limit, or keep a lower one that holds already."""
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def run_pytest(args: Sequence[str], reporter: Reporter, plugins: Sequence[object] = ()) -> NoReturn:
    """Run pytest on the current folder, report it, and leave without running exit handlers."""
    import pytest

    root = str(Path.cwd())
    sys.path.insert(0, root)
    reporter.send("hello")
    options = ["--tb=short", "--show-capture=no", "-p", "no:cacheprovider", "--rootdir=" + root, "--confcutdir=" + root]
    try:
        pytest.main([*args, *options], plugins=[reporter, *plugins])
    except BaseException:
        traceback.print_exc()
        _exit(1)
    reporter.send("finished")
    _exit(0)


def main() -> None:
    """Bound this process, run pytest in it and leave without running exit handlers."""
    job = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    die_with(job["driver_pid"])
    limit(resource.RLIMIT_CPU, job["cpu_s"], job["cpu_s"] + CPU_GRACE_S)
    limit(resource.RLIMIT_AS, job["memory_bytes"], job["memory_bytes"])
    limit(resource.RLIMIT_FSIZE, job["file_bytes"], job["file_bytes"])
    limit(resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)
    limit(resource.RLIMIT_CORE, 0, 0)
    os.set_inheritable(job["channel"], False)

    # The candidate's folder comes after pytest's import, so no file of it can stand in for pytest.
    sys.path.pop(0)
    import pytest  # noqa: F401

    reporter = Reporter()
    reporter.attach(job["channel"], job["nonce"])
    run_pytest(job["args"], reporter)


if __name__ == "__main__":
    main()
