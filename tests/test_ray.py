"""Rollouts on Ray: what a run shows and stores is what a local run does, whatever is lost meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import eval_kit
import pytest
from eval_kit import make_project, run, stored
from loopback import LoopbackServer
from process_kit import adopt_orphans, all_die, descendants, eventually
from test_budget import respond

from pytest_repoagent.cluster.connect import connect
from pytest_repoagent.errors import UsageError

HAS_RAY = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="needs the extra `ray`: make test-machines")
QUICK = "--test-policy=never"
MODELS = """
import logging, sys, time
from pathlib import Path
from pytest_repoagent.models.base import Reply

CALL = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":9}}'
FINAL = '{"type":"final","summary":"done","changes":[]}'
HERE = Path(__file__).parent


class Model:
    def __init__(self, name):
        self.name = name

    def check(self):
        pass

    def start(self, key):
        import ray

        node = ray.get_runtime_context().get_node_id()
        (HERE / "begun").mkdir(exist_ok=True)
        (HERE / "begun" / f"{node}-{key.task_id.replace('/', '-')}-{key.index}").touch()
        return Conversation("endless" if (HERE / f"doomed-{node}").exists() else self.name, key)


class Conversation:
    def __init__(self, name, key):
        self.name, self.key = name, key

    def reply(self, messages):
        if self.name == "talking":
            task = self.key.task_id.partition("/")[2]
            print(f"printed by {task}")
            print(f"complained by {task}", file=sys.stderr)
            logging.getLogger("talking").warning("logged by %s", task, extra={"stays": lambda: None})
            return Reply("nonsense", "stop")
        time.sleep(60 if self.name == "endless" else 0.25)
        return Reply(CALL if len(messages) < 5 else FINAL, "stop")


def pytest_repoagent_models():
    return {"mine": lambda name, context: Model(name)}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Ray's own cluster of this machine, of two nodes with two CPUs each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        cluster.add_node(num_cpus=2)
        yield cluster
        cluster.shutdown()


def own_models(pytester: pytest.Pytester, names: tuple[str, ...] = eval_kit.NAMES[:4], **kwargs: str) -> None:
    make_project(pytester, names, **kwargs)
    pytester.makeconftest(MODELS)


def on(cluster: Any) -> tuple[str, str]:
    return "--engine=ray", f"--ray-address={cluster.address}"


def start(pytester: pytest.Pytester, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", *eval_kit.COMMON, "--engine=ray", QUICK, *args, "test_items.py"]
    command += ["--import-mode=importlib"]  # so that no worker finds the conftest on the way that Python looks
    return subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True, start_new_session=True)


def begun(pytester: pytest.Pytester) -> list[str]:
    return [path.name for path in (pytester.path / "begun").glob("*")]


# These two come first: they look for processes left behind, and the cluster of the others starts some when it likes.


@needs_ray
def test_a_ray_of_its_own_serves_all_processes_and_is_gone_at_the_end(pytester: pytest.Pytester) -> None:
    adopt_orphans()
    before = set(descendants(os.getpid()))
    own_models(pytester, items="def test_item(rollout): assert not rollout.steps\n")
    result = run(pytester, "--engine=ray", "-n2", "--model=mine:talking", "--concurrency=2", QUICK, "--max-iters=1")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["*concurrency 2 in each of 2 processes, up to 4 rollouts at once; on Ray, nodes 1*"])
    shown: dict[str, list[str]] = {}
    name = ""
    for line in result.stdout.lines:
        if line.startswith("___") and "test_item[" in line:
            name = line.partition("[")[2].partition("-")[0]
        if (" by " in line and line.startswith(("printed", "complained"))) or "logged by" in line:
            shown.setdefault(name, []).append(line)
    for name in eval_kit.NAMES[:4]:
        assert len(shown[name]) == 3, shown
        assert all(line.endswith(f" by {name}") for line in shown[name]), shown
    assert stored(pytester, "SELECT count(*), count(DISTINCT task_id) FROM rollouts") == [(4, 4)]
    assert all_die(set(descendants(os.getpid())) - before)


@needs_ray
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_a_session_that_is_ended_leaves_no_process_behind(pytester: pytest.Pytester, kill: signal.Signals) -> None:
    adopt_orphans()
    before = set(descendants(os.getpid()))
    own_models(pytester)
    session = start(pytester, "--model=mine:endless", "--concurrency=2")
    assert eventually(lambda: len(begun(pytester)) == 2, timeout_s=60)
    if kill == signal.SIGINT:
        os.killpg(session.pid, kill)  # as a terminal does
    else:
        session.send_signal(kill)
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 2, out
    assert "did not run, the session was stopped" in out
    assert all_die(set(descendants(os.getpid())) - before)


@needs_ray
def test_a_node_is_killed_half_way_and_every_rollout_is_there_once(pytester: pytest.Pytester, cluster: Any) -> None:
    own_models(pytester)
    lost = cluster.add_node(num_cpus=2)
    (pytester.path / f"doomed-{lost.node_id}").touch()
    session = start(pytester, f"--ray-address={cluster.address}", "--model=mine:steady", "--rollouts=6")
    assert eventually(lambda: sum(name.startswith(lost.node_id) for name in begun(pytester)) == 2, timeout_s=60)
    assert eventually(lambda: len(begun(pytester)) >= 12, timeout_s=60)
    cluster.remove_node(lost, allow_graceful=False)
    out, _ = session.communicate(timeout=120)
    assert session.returncode == 0, out
    assert "concurrency 6; on Ray, nodes 3, CPUs 6" in out
    assert "24 passed" in out
    assert stored(pytester, "SELECT count(*), count(DISTINCT (task_id, rollout)), max(attempt) FROM rollouts") == [
        (24, 24, 0)
    ]
    assert len(list((pytester.path / ".repoagent/traces").glob("*/*.jsonl"))) == 24
    assert len(begun(pytester)) == 26


@needs_ray
def test_a_rollout_whose_worker_always_dies_is_trouble_and_costs_no_other_one(
    pytester: pytest.Pytester, cluster: Any
) -> None:
    make_project(pytester)
    result = run(pytester, *on(cluster), "--model=fake:kill@beta", QUICK)
    result.assert_outcomes(passed=3, errors=1)
    rows = stored(pytester, "SELECT task_id, cause, error FROM rollouts WHERE outcome = 'infrastructure_error'")
    assert [row[:2] for row in rows] == [("tiny/beta", "infrastructure")]
    assert "Ray could not get it made, with 3 retries: " in rows[0][2]
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(4,)]


@needs_ray
def test_all_nodes_keep_one_budget_and_one_pace(pytester: pytest.Pytester, cluster: Any) -> None:
    make_project(pytester, eval_kit.NAMES)
    with LoopbackServer(respond, models=["tiny"]) as server:
        args = [*on(cluster), "--model=openai:tiny", f"--base-url={server.url}", "--rollouts=3", QUICK]
        args += ["--price=1000,1000", "--concurrency=4", "--max-requests-per-minute=240"]
        result = run(pytester, *args, "--max-usd=1.95")
        calls = len(server.chats)
        assert 16 <= calls <= 23
        cut, done = (
            stored(pytester, f"SELECT count(*) FROM rollouts WHERE outcome = '{outcome}'")[0][0]
            for outcome in ("budget", "final")
        )
        assert cut + done == 24
        result.assert_outcomes(passed=done, skipped=cut)
        run(pytester, *args, "--max-usd=100", "--resume=last").assert_outcomes(passed=24)
    assert stored(pytester, "SELECT count(*), count(DISTINCT (task_id, rollout)) FROM rollouts WHERE counted") == [
        (24, 24)
    ]
    assert stored(pytester, "SELECT count(*) > 10 FROM steps WHERE extra->>'$.waited_s' IS NOT NULL") == [(True,)]


@needs_ray
def test_a_node_judges_with_the_files_that_it_was_sent(
    pytester: pytest.Pytester, cluster: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    make_project(pytester, ("iota", "kappa"))
    run(pytester, *on(cluster), "--model=oracle", "--require-pass").assert_outcomes(passed=2)
    assert stored(pytester, "SELECT DISTINCT success, runner FROM rollouts") == [(True, "warm")]
    sent = "cache*/pytest-repoagent/sent/*/python_programs/*.py"
    assert {"iota.py", "kappa.py"} <= {path.name for path in tmp_path_factory.getbasetemp().glob(sent)}


@needs_ray
def test_a_model_that_a_node_cannot_use_is_a_usage_error(
    pytester: pytest.Pytester, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(pytester)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
    result = run(pytester, *on(cluster), "--model=openai:tiny")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: on Ray node *: openai:tiny needs a server: give --base-url or *"])


@needs_ray
def test_a_part_that_cannot_be_sent_is_a_usage_error_that_names_it(pytester: pytest.Pytester, cluster: Any) -> None:
    make_project(pytester)
    with (pytester.path / "conftest.py").open("a") as file:
        file.write(
            "\nimport threading\nlock = threading.Lock()\n"
            "def pytest_repoagent_models(): return {'locked': lambda name, context: lock and Fake(name)}\n"
        )
    result = run(pytester, *on(cluster), "--model=locked:x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the model provider 'locked' cannot be sent to Ray nodes (*lock*): have it *"])


@needs_ray
def test_a_node_with_another_version_is_a_usage_error(pytester: pytest.Pytester, cluster: Any, tmp_path: Path) -> None:
    make_project(pytester)
    info = tmp_path / "pytest_repoagent-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-repoagent\nVersion: 9.9\n")
    other = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    result = run(pytester, *on(cluster), "--model=oracle")
    cluster.remove_node(other)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: Ray node * has version 9.9 of pytest-repoagent, and this machine has *"])


@needs_ray
@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "--ray-address=127.0.0.1:1 cannot be reached: Connection refused"),
        ("nonsense", "--ray-address=nonsense is none that can be joined: give HOST:PORT .*"),
        ("ray://127.0.0.1:10001", "--ray-address=ray://127.0.0.1:10001 is none that can be joined: .*"),
    ],
)
def test_an_address_that_is_none_is_a_usage_error(address: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"^{says}"):
        connect(address)


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_extra_is_named(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--engine=ray", "--model=oracle")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --engine=ray needs the extra `ray`: pip install *"])


def test_an_address_without_the_engine_is_a_usage_error(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--ray-address=127.0.0.1:6379", "--model=oracle")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --ray-address goes with --engine=ray: give that as well"])
