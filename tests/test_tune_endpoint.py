"""Dedicated endpoints at Together: whatever happens, none is left up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Answer
from process_kit import eventually
from test_tune_faults import FAULTS
from together_server import HARDWARE, Endpoint, TogetherServer
from tune_kit import finished, process, service, sft, sft_file, tune

from builders.tuning import api
from pytest_repoagent.store import reader

Caught = pytest.CaptureFixture[str]

_ENDPOINTS = "/v2/projects/proj_1/endpoints"
NOTHING = f"{sys.executable} -c pass"
CALLS = [
    ("GET", "/v1/fine-tunes/ft-[^/]*"),
    ("GET", "/v3/whoami"),
    ("GET", _ENDPOINTS),
    ("GET", "/v2/projects/proj_1/configs"),
    ("GET", "/v2/public/inference-instance-types"),
    ("POST", _ENDPOINTS),
    ("POST", f"{_ENDPOINTS}/[^/]*/deployments"),
    ("GET", f"{_ENDPOINTS}/.*/deployments/.*"),
    ("PATCH", f"{_ENDPOINTS}/[^/]*"),
    ("PATCH", f"{_ENDPOINTS}/.*/deployments/.*"),
    ("DELETE", f"{_ENDPOINTS}/.*/deployments/.*"),
    ("DELETE", f"{_ENDPOINTS}/[^/]*"),
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TogetherServer]:
    sft_file(tmp_path)
    with service(monkeypatch, tmp_path) as running:
        yield running


@pytest.fixture
def job(server: TogetherServer) -> str:
    return finished(server)


def deploy(job: str, *words: str) -> int:
    return tune("deploy", job, "--max-usd", "5", "--run", NOTHING, *words)


def endpoints() -> list[dict[str, object]]:
    return reader.query_dicts(Path(".repoagent/store.duckdb"), "FROM endpoints ORDER BY created_at")


def test_the_price_is_said_first_and_the_cheapest_machine_taken(
    server: TogetherServer, job: str, capsys: Caught
) -> None:
    assert deploy(job, "--for", "1h") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"price: $3.99 an hour on {HARDWARE}, at most $3.99 for the time given"
    assert lines[-1] == f"lab/repoagent-{job} is removed"
    [made] = server.seen("POST", f"{_ENDPOINTS}/[^/]*/deployments")
    assert made.json == {
        "name": f"repoagent-{job}",
        "model": f"projects/proj_1/models/ml_{job.removeprefix('ft-')}",
        "config": "projects/proj_together/configs/cr_1",
        "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
        "inactiveTimeout": 30,
    }
    [recorded] = endpoints()
    assert (recorded["job_id"], recorded["hardware"], recorded["usd_per_hour"]) == (job, HARDWARE, 3.99)
    assert recorded["removed_at"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "2h"], "that is above --max-usd 5; nothing was deployed"),
        (["--for", "soon"], "'soon' is no time such as 90s, 30m or 2h"),
        (["--for", "0m"], "'0m' is no time"),
    ],
)
def test_refused(server: TogetherServer, job: str, words: list[str], said: str, capsys: Caught) -> None:
    assert deploy(job, *words) == 4
    assert said in capsys.readouterr().err
    assert server.made_endpoints == 0


def test_a_job_without_a_model(server: TogetherServer, capsys: Caught) -> None:
    assert sft() == 0
    assert deploy(next(iter(server.jobs))) == 4
    assert "only a completed job has a model to deploy" in capsys.readouterr().err


def test_a_command_s_exit_status_is_kept(server: TogetherServer, job: str) -> None:
    assert deploy(job, "--run", f"{sys.executable} -c 'raise SystemExit(7)'") == 7
    assert server.endpoints == {}


def test_a_command_is_ended_with_the_time(server: TogetherServer, job: str, capsys: Caught) -> None:
    assert deploy(job, "--for", "1s", "--run", f"{sys.executable} -c 'import time; time.sleep(600)'") == 124
    assert server.endpoints == {}


def test_a_command_that_is_none(server: TogetherServer, job: str, capsys: Caught) -> None:
    assert deploy(job, "--run", "/nowhere/command") == 4
    assert "/nowhere/command cannot be run" in capsys.readouterr().err
    assert server.endpoints == {}


def test_the_time_alone_ends_it(server: TogetherServer, job: str) -> None:
    assert deploy(job, "--for", "1s", "--run", "") == 0
    assert server.made_endpoints == 1
    assert server.endpoints == {}


@pytest.mark.parametrize(("fault", "after"), [("429", False), ("500", False), ("reset", True), ("timeout", True)])
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_no_fault_leaves_an_endpoint_up(
    server: TogetherServer, job: str, method: str, path: str, fault: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "TIMEOUT_S", 1.0)
    server.fault(method, path, FAULTS[fault], after=after)
    code = deploy(job)
    assert server.endpoints == {}
    assert all(each["removed_at"] for each in endpoints())
    assert code == 0 or method == "POST"


def test_what_cannot_be_served_is_removed(server: TogetherServer, job: str, capsys: Caught) -> None:
    state = {"state": "DEPLOYMENT_STATE_FAILED", "message": "out of memory"}
    server.fault("GET", f"{_ENDPOINTS}/.*/deployments/.*", Answer(body={"id": "dep_1", "status": state}))
    assert deploy(job) == 1
    assert "cannot be served: out of memory" in capsys.readouterr().err
    assert server.endpoints == {}


def test_what_is_not_ready_in_time_is_removed(server: TogetherServer, job: str, capsys: Caught) -> None:
    state = {"state": "DEPLOYMENT_STATE_PROVISIONING", "message": "waiting for a machine"}
    answer = Answer(body={"id": "dep_1", "status": state}, delay_s=0.1)
    server.fault("GET", f"{_ENDPOINTS}/.*/deployments/.*", answer, times=10**6)
    assert deploy(job, "--for", "1s") == 1
    assert "was not ready in the time given with --for" in capsys.readouterr().err
    assert server.endpoints == {}


def test_an_endpoint_that_cannot_be_removed_is_told_with_its_price(
    server: TogetherServer, job: str, capsys: Caught
) -> None:
    server.fault("DELETE", f"{_ENDPOINTS}/[^/]*", FAULTS["500"], times=api.ATTEMPTS)
    assert deploy(job) == 1
    err = capsys.readouterr().err
    assert f"the endpoint of {job} may be up at $3.99 an hour: `repoagent tune undeploy {job}` removes it" in err
    assert endpoints()[0]["removed_at"] is None
    assert tune("undeploy", job) == 0
    assert server.endpoints == {}
    assert endpoints()[0]["removed_at"] is not None


def test_a_second_one_is_refused_and_the_first_left_alone(server: TogetherServer, job: str, capsys: Caught) -> None:
    inner = f"{sys.executable} -m pytest_repoagent.cli tune deploy {job} --max-usd 5"
    assert deploy(job, "--run", inner) == 4
    assert server.made_endpoints == 1


def test_undeploy_needs_no_store_that_knows_it(server: TogetherServer, job: str, capsys: Caught) -> None:
    """Another endpoint of the project, on another page of the list, stays."""
    for name in ("other", f"repoagent-{job}", f"repoagent-{job}-not"):
        server.made_endpoints += 1
        server.endpoints[f"ep_{name}"] = Endpoint(f"ep_{name}", f"lab/{name}")
    assert tune("undeploy", job, "--store", "other.duckdb") == 0
    assert [endpoint.name for endpoint in server.endpoints.values()] == ["lab/other", f"lab/repoagent-{job}-not"]
    capsys.readouterr()
    assert tune("undeploy", job) == 0
    assert f"nothing serves the model of {job}" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    sft_file(tmp_path)
    with service(monkeypatch, tmp_path) as server:
        job = finished(server)
        serving = process("deploy", job, "--max-usd", "5", "--for", "1h")
        assert eventually(lambda: len(server.seen("GET", f"{_ENDPOINTS}/.*/deployments/.*")) > 1, 60)
        os.kill(serving.pid, number)
        out, _ = serving.communicate(timeout=60)
        assert serving.returncode == 130
        assert out.splitlines()[-1] == f"lab/repoagent-{job} is removed"
        assert server.endpoints == {}
