"""The hooks by which other plugins and conftests extend a run.

Each returns what it adds; names that are taken already are a usage error. Example, in a ``conftest.py``::

    def pytest_repoagent_models():
        return {"mine": lambda name, context: MyModel(name)}

and then ``pytest --model=mine:large``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_repoagent.models.base import ModelFactory
    from pytest_repoagent.sources import SourceFactory
    from pytest_repoagent.testrun.base import RunnerFactory
    from pytest_repoagent.tools import Tool


def pytest_repoagent_models() -> Mapping[str, ModelFactory]:  # type: ignore[empty-body]
    """Providers: the word before the colon of ``--model`` -> factory (see :mod:`pytest_repoagent.models.base`)."""


def pytest_repoagent_tools() -> Sequence[Tool]:  # type: ignore[empty-body]
    """Tools besides the four built-in ones; they enter the system prompt and the parser."""


def pytest_repoagent_sources() -> Mapping[str, SourceFactory]:  # type: ignore[empty-body]
    """Task sources: a suite's ``source`` -> factory (see :mod:`pytest_repoagent.sources.base`)."""


def pytest_repoagent_runners() -> Mapping[str, RunnerFactory]:  # type: ignore[empty-body]
    """Test runners: the word after ``--runner`` -> factory, called with the ``--sandbox`` mode.

    :mod:`pytest_repoagent.testrun.base` says what a runner is.
    """
