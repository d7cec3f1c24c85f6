"""The controller's side of a run: the one writer of the store, and the check that nothing was lost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_repoagent import isolation
from pytest_repoagent.attempts import LOCKS
from pytest_repoagent.engine import Engine
from pytest_repoagent.errors import InfrastructureError, RepoAgentError, UsageError
from pytest_repoagent.prices import describe
from pytest_repoagent.resume import PLANS, enter, recorded
from pytest_repoagent.store.connection import BUSY_TIMEOUT_S
from pytest_repoagent.store.ingest import ingest
from pytest_repoagent.store.reader import cut_short, recorded_keys, run_sandbox
from pytest_repoagent.store.writer import prepare
from pytest_repoagent.summary import summarise, write_report
from pytest_repoagent.undisturbed import undisturbed

REPORT_ATTRIBUTE = "repoagent_trace"
"""Where a report carries the paths of finished traces, as one JSON string."""

BURST_SIZE = 100
BURST_S = 5.0
PASSING_BUSY_S = 0.2
"""How long a burst in the middle of a run waits for a store that somebody else has open; the last one waits longer."""


class Recorder:
    """Reads traces as items report them, writes them to the store in bursts, and judges completeness at the end."""

    def __init__(self, engine: Engine, processes: int, resumed: bool) -> None:
        """Make sure of the store, and pick up what earlier sessions finished and did not record.

        ``processes`` is how many of them run rollouts, ``resumed`` says whether the run was begun by another session.

        Raises:
            UsageError, InfrastructureError: the store cannot be used.
        """
        self.engine = engine
        self.store = engine.settings.store
        here = Path.cwd()
        self.shown = self.store.relative_to(here) if self.store.is_relative_to(here) else self.store
        self.waiting: list[Path] = []
        self.last_burst = time.monotonic()
        self.reported: set[str] = set()
        self.skipped: set[str] = set()
        self.trouble: list[str] = []
        self.unwritten: str | None = None
        self.in_flight = _in_flight(engine.settings.concurrency or 1, processes, engine.place.where)
        self.sandbox = isolation.describe(engine.place.sandbox)
        self._check_report()
        prepare(self.store)
        self.lock = enter(engine, resumed)
        self.earlier = ingest([engine.settings.trace_root], self.store)
        self.resumed = recorded(engine) if resumed else None
        if self.resumed is not None:
            engine.attempt_again(self.resumed.again)

    def pytest_report_header(self) -> list[str]:
        """What runs, and where it is kept."""
        settings, suite = self.engine.settings, self.engine.suite
        lines = [
            f"repoagent: {suite.name}, tasks {len(suite.tasks)}, rollouts of each {settings.rollouts}, "
            f"{', '.join(settings.model)}; run {self.engine.run_id} in {self.shown}",
            f"repoagent: runner {settings.runner}, sandbox {self.sandbox}",
            f"repoagent: {self.in_flight}",
            *(f"repoagent: {line}" for line in self._prices()),
        ]
        if self.resumed is not None:
            again = f", {len(self.resumed.again)} of them to be made again" if self.resumed.again else ""
            has = f"{self.resumed.finished} rollouts{again}"
            lines.append(f"repoagent: resumes the run of {self.engine.started_at}, which has {has}")
        if self.earlier.written:
            lines.append(f"repoagent: recorded {self.earlier.written} rollouts that earlier sessions had finished")
        if self.earlier.rejected:
            path, reason = self.earlier.rejected[0]
            lines.append(f"repoagent: {len(self.earlier.rejected)} traces cannot be read, such as {path}: {reason}")
        return lines

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Remember the session, which knows when it is to be stopped."""
        self.session = session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what was reported, record finished rollouts in bursts, and tell the other processes to stop."""
        if self.session.shouldfail or self.session.shouldstop:
            self.engine.stop.put_up()
        if report.when == "call" or not report.passed:
            self.reported.add(report.nodeid)
        if report.skipped and report.when == "setup" and not hasattr(report, "wasxfail"):
            self.skipped.add(report.nodeid)
        paths = report.__dict__.pop(REPORT_ATTRIBUTE, None)
        if paths:
            self.waiting += map(Path, json.loads(paths))
        if len(self.waiting) >= BURST_SIZE or (self.waiting and time.monotonic() - self.last_burst >= BURST_S):
            self._record(final=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """After the workers have left, however they did, record the rest and say what is missing."""
        self.engine.stop.put_up()
        try:
            return (yield)
        finally:
            self._finish(session)

    def _finish(self, session: pytest.Session) -> None:
        """Record the rest, then fail the run if anything that was selected is missing."""
        run_dir = self.engine.run_dir
        self.waiting = [run_dir]  # whatever finished, also where its report never came
        self._record(final=True)
        stopped = session.exitstatus == pytest.ExitCode.INTERRUPTED or session.shouldstop or session.shouldfail
        self.trouble += self._missing(bool(stopped)) + self._cut_short()
        self.trouble = list(dict.fromkeys(self.trouble))  # the last burst meets unreadable traces again
        self._write_report()
        shutil.rmtree(run_dir / LOCKS, ignore_errors=True)
        self.lock.release()
        if self.trouble and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # pytest gives no summary then
            print(*self.trouble, sep="\n", file=sys.stderr)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A row per model, then what went wrong with the run itself."""
        terminalreporter.section("repoagent", sep="=")
        lines, warnings = self._summary()
        for line in [*lines, self.in_flight]:
            terminalreporter.write_line(line)
        for line in warnings:
            terminalreporter.write_line(line, yellow=True)
        terminalreporter.write_line(f"store: {self.shown}, run {self.engine.run_id}")
        for line in self.trouble:
            terminalreporter.write_line(line, red=True, bold=True)

    def _summary(self) -> tuple[list[str], list[str]]:
        if self.unwritten is not None:
            return [], []
        try:
            facts, warnings = isolation.summarise(run_sandbox(self.store, self.engine.run_id))
            return [*summarise(self.store, self.engine.run_id), *facts], warnings
        except RepoAgentError as error:
            return [f"no summary: {error}"], []

    def _prices(self) -> list[str]:
        """A line for each model that costs, or whose price somebody would want to know."""
        engine = self.engine
        specs = [spec for spec in engine.settings.model if getattr(engine.model(spec), "concurrency", 1) > 1]
        return [describe(spec, engine.price(spec)) for spec in specs]

    def _check_report(self) -> None:
        path = self.engine.settings.report
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.open("a").close()
            except OSError as error:
                raise UsageError(f"--report={path} cannot be written: {error.strerror}") from None

    def _write_report(self) -> None:
        settings = self.engine.settings
        if settings.report is not None:
            try:
                write_report(settings.report, self.engine.run_id, settings.recorded(), self.engine.run_dir)
            except OSError as error:
                self.trouble.append(f"--report={settings.report} was not written: {error.strerror}")

    def _record(self, final: bool) -> None:
        """Write what waits; where the store is busy, it waits on, and is trouble only at the end."""
        self.last_burst = time.monotonic()
        try:
            with undisturbed():
                done = ingest(self.waiting, self.store, BUSY_TIMEOUT_S if final else PASSING_BUSY_S)
        except InfrastructureError as error:
            if final:
                self.unwritten = str(error)
                self.trouble.append(f"not recorded: {error}; the next session records what is in {self.engine.run_dir}")
            return
        self.waiting = []
        self.trouble += [f"not recorded: {path}: {reason}" for path, reason in done.rejected]

    def _cut_short(self) -> list[str]:
        if self.unwritten is not None:
            return []
        try:
            number = cut_short(self.store, self.engine.run_id)
        except RepoAgentError:  # _missing() says so
            return []
        run = self.engine.run_id
        return (
            [f"{number} rollouts are missing, the budget is spent: --resume={run} with a higher one"] if number else []
        )

    def _missing(self, stopped: bool) -> list[str]:
        """A line for each selected item that has no verdict or no rollout in the store."""
        plans = sorted((self.engine.run_dir / PLANS).glob("*.json"))
        if not plans:
            return [] if stopped else ["no process said which items it selected, so nothing shows that none was lost"]
        selected: dict[str, list[str | int]] = {}
        for plan in plans:
            selected |= json.loads(plan.read_text())
        if not selected and not stopped:
            return ["no rollout was selected: no collected test uses the `rollout` fixture, or -k left none"]
        try:
            recorded = recorded_keys(self.store, self.engine.run_id) if self.unwritten is None else None
        except RepoAgentError as error:
            return [f"nothing shows that no rollout was lost: {error}"]
        silent = [item for item in selected if item not in self.reported]
        unrecorded = [
            item
            for item, key in selected.items()
            if recorded is not None and tuple(key) not in recorded and item not in self.skipped and item not in silent
        ]
        lines = [f"{item} was reported, but its rollout is not in the store" for item in unrecorded]
        if stopped and silent:
            some = ", ".join(silent[:3]) + (", ..." if len(silent) > 3 else "")
            return [f"{len(silent)} selected items did not run, the session was stopped: {some}", *lines]
        return [f"{item} was selected but never reported: lost" for item in silent] + lines


def _in_flight(concurrency: int, processes: int, where: str) -> str:
    line = f"concurrency {concurrency}"
    if processes > 1:
        line += f" in each of {processes} processes, up to {concurrency * processes} rollouts at once"
    return f"{line}; {where}" if where else line
