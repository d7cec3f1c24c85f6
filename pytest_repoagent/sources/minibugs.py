"""Our own small buggy programs, which come with the package."""

from __future__ import annotations

from pytest_repoagent import bundled
from pytest_repoagent.sources.base import Source, SourceContext
from pytest_repoagent.sources.mutants import open_folder


def open_minibugs(context: SourceContext) -> Source:
    """The bundled folder, checked against the suite."""
    return open_folder(bundled.minibugs_dir(), context)
