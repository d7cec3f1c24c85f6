"""Our own small buggy programs, which come with the package."""

from __future__ import annotations

from pytest_repoagent import bundled
from pytest_repoagent.sources.base import SourceContext
from pytest_repoagent.sources.bug_folder import BugFolder


def open_minibugs(context: SourceContext) -> BugFolder:
    """The bundled folder, checked against the suite."""
    return BugFolder(bundled.minibugs_dir(), context.suite)
