"""A pytest session that evaluates models: what a run is in pytest's terms.

The controller (or the only process) owns a :class:`pytest_repoagent.recorder.Recorder`; every process that runs
items owns an :class:`pytest_repoagent.engine.Engine`. Workers get the controller's settings and run id, not the
command line, so that all of them run the same thing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Generator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pytest_repoagent import bundled, output, registry
from pytest_repoagent.budget import Bounds
from pytest_repoagent.capture import OutputPlugin
from pytest_repoagent.engine import Engine
from pytest_repoagent.errors import ModelConfigError, RepoAgentError, UsageError
from pytest_repoagent.gate.rules import rules_of
from pytest_repoagent.gate.section import Gate
from pytest_repoagent.models.base import RolloutKey
from pytest_repoagent.models.replay import pin
from pytest_repoagent.prices import price_of
from pytest_repoagent.recorder import REPORT_ATTRIBUTE, Recorder
from pytest_repoagent.resume import PLANS, check_same, find_run
from pytest_repoagent.settings import Settings, from_pytest
from pytest_repoagent.stopping import Stopped
from pytest_repoagent.suites import find_suite, load_suite

if TYPE_CHECKING:
    from pytest_repoagent.rollout import Rollout

ENGINE = pytest.StashKey[Engine]()
FINISHED = pytest.StashKey[list[str]]()
_RUNS_NOTHING = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test", "cacheshow", "markers", "help")


def start(config: pytest.Config) -> None:
    """Start a run in the controller, or join it in a worker.

    Raises:
        pytest.UsageError: a setting, the suite, its source, a model or the store is wrong; no rollout was begun.
    """
    try:
        if hasattr(config, "workerinput"):
            _join(config, config.workerinput)
        else:
            _begin(config)
    except (RepoAgentError, OSError, duckdb.Error) as error:
        raise pytest.UsageError(str(error)) from None


def _begin(config: pytest.Config) -> None:
    settings = from_pytest(config)
    parts = registry.with_hooks(config.hook, config.getini("repoagent_provider"))
    rules = rules_of(settings)
    given = settings.model
    specs = dict.fromkeys(pin(parts.resolve(spec), settings.trace_root) for spec in given)
    settings = settings.model_copy(update={"model": tuple(specs)})
    suite = load_suite(find_suite(settings.suite, [config.rootpath / "eval" / "suites", bundled.suites_dir()]))
    run = find_run(settings.resume, settings.trace_root) if settings.resume is not None else None
    run_id = run.run_id if run else uuid.uuid4().hex[:12]
    started_at = run.started_at if run else datetime.now(UTC).isoformat(timespec="milliseconds")
    engine = Engine(settings, suite, parts, run_id, started_at, _bounds(settings), uuid.uuid4().hex[:12])
    if run is not None:
        check_same(run, engine)
    _adopt(config, engine)
    if any(getattr(config.option, name, None) for name in _RUNS_NOTHING):
        return
    if settings.engine == "ray":
        _use_ray(config, engine)
    try:
        engine.check()
    except ModelConfigError as error:
        bare = [spec for spec in given if parts.resolve(spec) != spec]
        if not bare:
            raise
        own = ", ".join(sorted(parts.models))
        raise UsageError(
            f"{error}; --model={bare[0]} was taken for {parts.resolve(bare[0])}, providers are {own}"
        ) from None
    if rules:
        config.pluginmanager.register(Gate(engine, rules), "repoagent-gate")
    processes = config.getoption("numprocesses", None) or 1
    engine.choose_concurrency(processes)
    config.pluginmanager.register(Recorder(engine, processes, resumed=run is not None), "repoagent-recorder")
    if settings.compare_to is not None:
        from pytest_repoagent.compare.live import LiveComparison

        config.pluginmanager.register(LiveComparison(engine, settings.compare_to), "repoagent-compare")
    config.pluginmanager.register(_WorkerSetup(engine), "repoagent-workers")
    if config.getoption("dist", "no") == "no":
        _run_items(config, engine, "main")
    else:  # the workers run everything
        engine.close()


def _bounds(settings: Settings) -> Bounds:
    unpriced = [spec for spec in settings.model if price_of(spec, settings.price) is None]
    if settings.max_usd is not None and unpriced:
        raise UsageError(f"--max-usd cannot be kept: no price is known for {', '.join(unpriced)}; give --price=IN,OUT")
    until = None if settings.max_minutes is None else time.time() + 60 * settings.max_minutes
    return Bounds(settings.max_usd, settings.max_total_tokens, until)


def _join(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    given = json.loads(workerinput["repoagent"])
    parts = registry.with_hooks(config.hook, config.getini("repoagent_provider"))
    settings = Settings.model_validate(given["settings"])
    suite, bounds = load_suite(Path(given["suite_path"])), Bounds(**given["bounds"])
    engine = Engine(settings, suite, parts, given["run_id"], given["started_at"], bounds, given["session"])
    engine.attempt_again(given["again"])
    _adopt(config, engine)
    if settings.engine == "ray":
        _use_ray(config, engine)
    _run_items(config, engine, workerinput["workerid"])


def _use_ray(config: pytest.Config, engine: Engine) -> None:
    """Have the engine's rollouts made on Ray; the workers of this session, if any, join the same cluster."""
    from pytest_repoagent.cluster.connect import connect

    cluster = connect(engine.settings.ray_address)
    from pytest_repoagent.cluster.place import RayPlace  # it imports Ray, of which connect() has made sure

    engine.change(ray_address=cluster.address)
    modules = [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)]
    conftests = [module for module in modules if Path(module.__file__ or "").name == "conftest.py"]
    engine.place = place = RayPlace(cluster, engine.workshop, engine.stop, conftests)
    config.add_cleanup(place.close)


def _run_items(config: pytest.Config, engine: Engine, process: str) -> None:
    config.pluginmanager.register(_Plan(engine, process), "repoagent-plan")
    if (engine.settings.concurrency or 1) > 1:
        config.pluginmanager.register(OutputPlugin(config), "repoagent-output")


def _adopt(config: pytest.Config, engine: Engine) -> None:
    config.stash[ENGINE] = engine
    config.add_cleanup(engine.close)
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        config.args = [str(_default_path(config))]


def _default_path(config: pytest.Config) -> Path:
    own = config.rootpath / "eval"
    return own if any(own.rglob("*.py")) else bundled.items_dir()  # it may hold baselines only


class _WorkerSetup:
    """Tells each xdist worker which run it is part of."""

    def __init__(self, engine: Engine) -> None:
        self._passed = json.dumps(
            {
                "settings": engine.settings.model_dump(mode="json"),
                "suite_path": str(engine.suite.path.resolve()),
                "run_id": engine.run_id,
                "started_at": engine.started_at,
                "again": sorted(engine.again),
                "bounds": asdict(engine.bounds),
                "session": engine.session,
            }
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["repoagent"] = self._passed


class _Plan:
    """Knows which items of this process need which rollout: for the controller to compare with, and to start ahead."""

    def __init__(self, engine: Engine, process: str) -> None:
        self._engine = engine
        self._path = engine.run_dir / PLANS / f"{process}.json"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        plan = {item.nodeid: _key_list(item) for item in session.items if _key(item) is not None}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(plan))
        partial.replace(self._path)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Keep rollouts in flight while the items run; those of other processes' items, too, to the end."""
        if not session.testsfailed or session.config.option.continue_on_collection_errors:
            self._engine.start_ahead(key for item in session.items if (key := _key(item)) and not _may_be_skipped(item))
        try:
            result = yield
            if session.shouldstop or session.shouldfail:
                self._engine.stop.put_up()
            else:
                self._engine.finish()
            return result
        except (KeyboardInterrupt, pytest.exit.Exception, session.Failed):  # after an internal error, others go on
            self._engine.stop.put_up()
            raise


def _may_be_skipped(item: pytest.Item) -> bool:
    """Whether a mark may keep the item from asking for its rollout, which is then not to be run."""
    return any(item.get_closest_marker(mark) for mark in ("skip", "skipif", "xfail"))


def _key(item: pytest.Item) -> RolloutKey | None:
    callspec = getattr(item, "callspec", None)
    key = callspec.params.get("repoagent_key") if callspec else None
    return key if isinstance(key, RolloutKey) else None


def _key_list(item: pytest.Item) -> list[Any]:
    key = _key(item)
    assert key is not None
    return [key.model, key.task_id, key.index]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test one item per rollout; none without ``--model``."""
    engine = metafunc.config.stash.get(ENGINE, None)
    keys = engine.keys() if engine else []
    metafunc.parametrize("repoagent_key", keys or [None], ids=_ids(keys) or ["no-model"])


def _ids(keys: list[RolloutKey]) -> list[str]:
    """``gcd-r0``; with the model in front where there are several, with the source where names collide."""
    several_models = len({key.model for key in keys}) > 1
    names = {key.task_id: key.task_id.partition("/")[2] for key in keys}
    unique = len(set(names.values())) == len(names)
    return [
        "-".join(
            [
                *([key.model.replace("/", "_")] if several_models else []),
                names[key.task_id] if unique else key.task_id.replace("/", "_"),
                f"r{key.index}",
            ]
        )
        for key in keys
    ]


def settings_of(config: pytest.Config) -> Settings:
    """The run's settings."""
    return config.stash[ENGINE].settings


def obtain(request: pytest.FixtureRequest, key: RolloutKey) -> Rollout:
    """The rollout for the ``rollout`` fixture; a spoiled one fails the set-up, wrong settings stop the session.

    In a session that another process stopped, the item is skipped.
    """
    engine = request.config.stash[ENGINE]
    try:
        rollout = engine.run(key)
    except Stopped:
        request.session.shouldstop = request.session.shouldstop or engine.stop.reason
        pytest.skip("the session was stopped")
    request.node.stash.setdefault(FINISHED, []).append(rollout.trace_path)
    for name, text in output.sections(Path(rollout.trace_path)).items():
        request.node.add_report_section("setup", name, text)
    if rollout.cause == "budget":
        pytest.skip(f"{rollout.error}; --resume={rollout.run_id} goes on")
    if not rollout.counted:
        message = f"{rollout.outcome}: {rollout.error}\ntrace: {rollout.trace_path}"
        if rollout.cause == "user":
            request.session.shouldstop = f"{rollout.model} cannot be used: {rollout.error}"
            engine.stop.put_up(request.session.shouldstop)
        pytest.fail(message, pytrace=False)
    return rollout


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put the paths of traces finished since the last report on this one, as one JSON string."""
    finished = item.stash.get(FINISHED, [])
    if finished:
        setattr(report, REPORT_ATTRIBUTE, json.dumps(finished))
        finished.clear()
