"""``--compare-to``: what a run just did, compared with something recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_repoagent.compare.arms import Arm, planned
from pytest_repoagent.compare.comparison import check_conditions, compare
from pytest_repoagent.compare.output import as_text
from pytest_repoagent.compare.references import load_arm
from pytest_repoagent.errors import RepoAgentError

if TYPE_CHECKING:
    from pytest_repoagent.engine import Engine


class LiveComparison:
    """Reads the reference before the run, so that nothing is spent on a comparison that cannot be made."""

    def __init__(self, engine: Engine, reference: str) -> None:
        """Read the reference.

        Raises:
            UsageError: there is none, or it was made under other conditions than this run will be.
        """
        self._engine = engine
        self._reference = load_arm(reference, engine.settings.store)
        check_conditions(self._reference, Arm("this run", planned(engine), {}))

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """After the run's own table, the comparison of each of its models."""
        terminalreporter.section(f"compared with {self._reference.name}", sep="=")
        settings = self._engine.settings
        try:
            now = [load_arm(f"{self._engine.run_id}/{model}", settings.store) for model in settings.model]
            lines = as_text(compare([self._reference, *now])).splitlines()
        except RepoAgentError as error:
            lines = [f"no comparison: {error}"]
        for line in lines:
            terminalreporter.write_line(line)
