"""Where tasks come from: one module a source, each imported when a suite first needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import Source, SourceContext

SourceFactory = Callable[[SourceContext], Source]


def _quixbugs(context: SourceContext) -> Source:
    from pytest_repoagent.sources.quixbugs import open_quixbugs

    return open_quixbugs(context)


def _minibugs(context: SourceContext) -> Source:
    from pytest_repoagent.sources.minibugs import open_minibugs

    return open_minibugs(context)


def _repo(context: SourceContext) -> Source:
    from pytest_repoagent.sources.repo import RepoSource

    return RepoSource(context)


SOURCES: Mapping[str, SourceFactory] = MappingProxyType({"quixbugs": _quixbugs, "minibugs": _minibugs, "repo": _repo})
"""The built-in sources by name."""


def open_source(context: SourceContext, sources: Mapping[str, SourceFactory] = SOURCES) -> Source:
    """The source of the context's suite, its files checked.

    Raises:
        SourceError: there is no such source, it cannot be had, or its files are not those that the suite pins.
    """
    suite = context.suite
    if suite.source not in sources:
        raise SourceError(f"{suite.path}: source is {suite.source!r}, but must be one of {', '.join(sources)}")
    return sources[suite.source](context)
