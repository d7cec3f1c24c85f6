"""The gate in a pytest session: judges the recorded run, shows a section, and sets the exit status."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from pytest_repoagent.compare.baseline_file import load_baseline
from pytest_repoagent.engine import Engine
from pytest_repoagent.errors import RepoAgentError, UsageError
from pytest_repoagent.gate.baseline import check_comparable
from pytest_repoagent.gate.judge import Finding, check_judgeable, incomplete, judge
from pytest_repoagent.gate.rules import Rule
from pytest_repoagent.gate.table import lines
from pytest_repoagent.store.values import rollout_values

_ENDED_OTHERWISE = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)


class Gate:
    """Registered in the controller only, so that it sees every rollout once, also under xdist."""

    def __init__(self, engine: Engine, rules: Sequence[Rule]) -> None:
        """Read the baseline, and make sure that every rule can be kept and broken; a default rule is else left out.

        Raises:
            UsageError: the baseline cannot be compared with this run, or no run could break or keep a rule.
        """
        self.engine = engine
        self.rules: list[Rule] = []
        self.left_out: list[str] = []
        self.findings: dict[str, list[Finding]] = {}
        self.refused: list[str] = []
        self.path = engine.settings.baseline
        self.baseline = None
        if self.path is not None:
            self.baseline = load_baseline(self.path)
            check_comparable(self.path, self.baseline, engine)
        before = None if self.baseline is None else self.baseline.tasks
        for rule in rules:
            try:
                check_judgeable(rule, len(engine.tasks), before)
                self.rules.append(rule)
            except UsageError as error:
                if engine.settings.fail_on:
                    raise
                self.left_out.append(f"a default rule is left out: {error}")

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Once the recorder has finished, judge. A rule that cannot be judged goes before one that is broken."""
        try:
            return (yield)
        finally:
            if session.exitstatus in _ENDED_OTHERWISE:
                self.refused = ["the session was stopped, so no rule was judged"]
            else:
                self._judge()
                if self.refused:
                    session.exitstatus = pytest.ExitCode.USAGE_ERROR
                elif self.broken and session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def broken(self) -> list[Finding]:
        """The findings of broken rules."""
        return [finding for found in self.findings.values() for finding in found if not finding.kept]

    def _judge(self) -> None:
        settings = self.engine.settings
        before = None if self.baseline is None else self.baseline.tasks
        for spec in settings.model:
            try:
                now = rollout_values(settings.store, [self.engine.run_id], spec)
            except RepoAgentError as error:
                self.refused.append(f"{spec}: not judged, {error}")
                continue
            if reason := incomplete(now, list(self.engine.tasks), settings.rollouts):
                self.refused.append(f"{spec}: not judged, {reason}")
                continue
            self.findings[spec] = []
            for rule in self.rules:
                try:
                    self.findings[spec].append(judge(rule, now, before))
                except UsageError as error:
                    self.refused.append(f"{spec}: {rule.text} cannot be judged, {error}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The baseline, a row per model and rule, and what came of it."""
        terminalreporter.section("repoagent gate", sep="=")
        if self.baseline is not None and self.path is not None:
            made = self.baseline.identity
            terminalreporter.write_line(f"baseline {self.path.name}: {made.model}, {made.created:%Y-%m-%d}")
        for line in [*self.left_out, *(lines(self.findings) if self.findings else [])]:
            terminalreporter.write_line(line)
        for line in self.refused:
            terminalreporter.write_line(line, red=True, bold=True)
        count = sum(map(len, self.findings.values()))
        if self.broken:
            terminalreporter.write_line(f"gate: {len(self.broken)} of {count} rules broken", red=True, bold=True)
        elif not self.refused:
            terminalreporter.write_line(f"gate: {count} of {count} rules kept", green=True)
