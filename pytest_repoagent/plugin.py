"""The pytest plugin: hooks and fixtures, nothing else.

Without ``--model`` a session pays for registering options and for nothing more: everything else is imported by the
hooks that need it, and :class:`pytest_repoagent.session.RunSession` is only registered when there is a model.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repoagent import options

if TYPE_CHECKING:
    from pytest_repoagent.item_limits import ItemLimits
    from pytest_repoagent.models.base import RolloutKey
    from pytest_repoagent.rollout import Rollout


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the prefixed options."""
    options.add_options(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> Generator[None, object, object]:
    """Register the short options once everybody else has registered theirs."""
    result = yield
    options.add_short_options(parser, args)
    return result


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that others may implement."""
    from pytest_repoagent import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """With ``--model``, check the settings and the models, and start a run."""
    if config.getoption("repoagent_model"):
        from pytest_repoagent.session import start

        start(config)
    elif any(config.getoption(f"repoagent_{name}") for name in ("baseline", "fail_on", "compare_to")):
        raise pytest.UsageError(
            "--baseline, --fail-on and --compare-to are about a run: give --model=PROVIDER:NAME as well"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per rollout for every test that uses the ``rollout`` fixture, ours and nobody else's of that name."""
    if "repoagent_key" in metafunc.fixturenames:
        from pytest_repoagent.session import parametrize

        parametrize(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--model`` there are no rollouts, so there are no items that need one."""
    if not config.getoption("repoagent_model"):
        idle = [item for item in items if "repoagent_key" in getattr(item, "fixturenames", ())]
        if idle:
            config.hook.pytest_deselected(items=idle)
            items[:] = [item for item in items if item not in idle]


@pytest.fixture
def rollout(request: pytest.FixtureRequest, repoagent_key: RolloutKey) -> Rollout:
    """This item's finished rollout: run now, or earlier in this run by another test on the same one.

    A rollout that the provider or this machine spoiled makes the item an ERROR, never a FAILURE.
    """
    from pytest_repoagent.session import obtain

    return obtain(request, repoagent_key)


@pytest.fixture(scope="session")
def rollout_limits(pytestconfig: pytest.Config) -> ItemLimits:
    """What an item tolerates: the ``repoagent_max_*`` and ``repoagent_require_*`` settings, and ``--require-pass``."""
    if not pytestconfig.getoption("repoagent_model"):
        pytest.skip("there are no rollouts to limit without --model")
    from pytest_repoagent.session import settings_of

    return settings_of(pytestconfig).limits


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Hand the path of a finished trace to the controller with the first report after it."""
    report = yield
    if item.config.getoption("repoagent_model"):
        from pytest_repoagent.session import attach

        attach(item, report)
    return report
