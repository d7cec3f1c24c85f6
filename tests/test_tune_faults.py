"""Jobs at Together when the service, the network or this process fails: one job is made, or none, and never two."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Answer
from process_kit import eventually
from together_server import JOB_STAGES, TogetherServer
from tune_kit import completed, process, row, service, sft, sft_file, tune

from builders.tuning import api
from pytest_repoagent.cli import main

Caught = pytest.CaptureFixture[str]

CREATE = ("POST", "/v1/fine-tunes")
CALLS = [
    ("POST", "/v1/files"),
    ("PUT", "/storage/.*"),
    ("POST", "/v1/files/.*/preprocess"),
    ("GET", "/v1/files/.*"),
    ("GET", "/v1/fine-tunes/models/supported"),
    ("GET", "/v1/fine-tunes/models/limits"),
    ("POST", "/v1/fine-tunes/estimate-price"),
    ("POST", "/v1/fine-tunes/preview"),
    ("GET", "/v1/fine-tunes"),
    ("GET", "/v1/fine-tunes/ft-[^/]*"),
    ("GET", "/v1/fine-tunes/.*/events"),
]
"""Every call of a job's way but the one that creates it."""
FAULTS = {
    "429": Answer("slow down", status=429, headers={"Retry-After": "0"}),
    "500": Answer("oh dear", status=500),
    "timeout": Answer("too late", status=504, delay_s=5.0),
    "reset": Answer(fault="reset"),
    "html": Answer(body="<html>maintenance</html>", headers={"Content-Type": "text/html"}),
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TogetherServer]:
    sft_file(tmp_path)
    monkeypatch.setattr(api, "TIMEOUT_S", 1.0)
    with service(monkeypatch, tmp_path) as running:
        yield running


# Calls that may be repeated are


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_faults_on_the_way_are_no_end(server: TogetherServer, method: str, path: str) -> None:
    for fault in ("429", "500", "timeout", "reset"):
        server.fault(method, path, FAULTS[fault])
    assert sft("--watch", "--preview") == 0
    assert len(server.seen(method, path)) >= api.ATTEMPTS
    assert [job.status for job in server.jobs.values()] == ["completed"]


@pytest.mark.parametrize(("method", "path"), [CALLS[0], *CALLS[2:]])
def test_answers_of_something_else_are_no_end(server: TogetherServer, method: str, path: str) -> None:
    server.fault(method, path, FAULTS["html"])
    assert sft("--watch", "--preview") == 0


@pytest.mark.parametrize(("method", "path"), CALLS[:9])
def test_a_lasting_fault_is_an_error_and_no_job(server: TogetherServer, method: str, path: str, capsys: Caught) -> None:
    server.fault(method, path, FAULTS["500"], times=99)
    assert sft("--preview") == 1
    err = capsys.readouterr().err
    assert "answered 500: oh dear" in err
    assert err.count("\n") == 1
    assert len(server.seen(method, path)) >= api.ATTEMPTS
    assert server.jobs == {}


# The call that creates the job is not


@pytest.mark.parametrize("fault", ["500", "timeout", "reset", "html"])
def test_a_lost_reply_makes_no_second_job(server: TogetherServer, fault: str) -> None:
    """The job was made; it is found by its name."""
    server.fault(*CREATE, FAULTS[fault], after=True)
    assert sft() == 0
    assert len(server.seen(*CREATE)) == 1
    [job_id] = server.jobs
    assert row(job_id)["method"] == "sft"


@pytest.mark.parametrize("fault", ["500", "timeout", "reset", "html"])
def test_no_reply_and_no_job(server: TogetherServer, fault: str, capsys: Caught) -> None:
    """Nobody can know that it was not made, so it is not made again until the user says so."""
    server.fault(*CREATE, FAULTS[fault])
    assert sft() == 1
    assert "whether the job was created is not known" in capsys.readouterr().err
    assert len(server.seen(*CREATE)) == 1
    assert server.jobs == {}
    assert sft() == 0
    assert len(server.jobs) == 1


def test_a_lost_reply_and_a_lost_list(server: TogetherServer, capsys: Caught) -> None:
    server.fault(*CREATE, FAULTS["reset"], after=True)
    server.fault("GET", "/v1/fine-tunes", Answer(body={"data": []}))
    server.fault("GET", "/v1/fine-tunes", FAULTS["500"], times=99)
    assert sft() == 1
    assert "whether the job was created is not known" in capsys.readouterr().err
    [job_id] = server.jobs
    for fault in server._faults:
        fault.times = 0
    assert sft() == 0
    assert list(server.jobs) == [job_id]
    assert row(job_id)["estimate_usd"] is not None


def test_a_job_that_is_listed_late(server: TogetherServer) -> None:
    server.fault(*CREATE, FAULTS["timeout"], after=True)
    server.fault("GET", "/v1/fine-tunes", Answer(body={"data": []}), times=3)
    assert sft() == 0
    assert len(server.seen(*CREATE)) == 1


def test_a_busy_service_has_not_begun(server: TogetherServer) -> None:
    server.fault(*CREATE, FAULTS["429"], times=2)
    assert sft() == 0
    assert len(server.seen(*CREATE)) == 3
    assert len(server.jobs) == 1


def test_a_refusal_is_an_end(server: TogetherServer, capsys: Caught) -> None:
    server.fault(*CREATE, Answer("n_epochs must be below 3", status=400))
    assert sft() == 4
    assert "POST http://127.0.0.1:" in (err := capsys.readouterr().err)
    assert "/v1/fine-tunes answered 400: n_epochs must be below 3" in err
    assert len(server.seen(*CREATE)) == 1


def test_an_account_without_money(server: TogetherServer, capsys: Caught) -> None:
    server.fault(*CREATE, Answer("add credit", status=402))
    assert sft() == 4
    assert "the account of TOGETHER_API_KEY cannot pay for it" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "path"), [*CALLS[:9], CREATE])
def test_a_rejected_key_is_told_as_one(server: TogetherServer, method: str, path: str, capsys: Caught) -> None:
    """Also in the upload, where the SDK speaks of free trial credits."""
    server.fault(method, path, Answer("Invalid API key", status=401))
    assert sft("--preview") == 4
    err = capsys.readouterr().err
    assert "answered 401: Invalid API key; the key was rejected: check TOGETHER_API_KEY." in err
    assert server.jobs == {}


def test_nobody_there(server: TogetherServer, monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    monkeypatch.setenv("TOGETHER_BASE_URL", "http://127.0.0.1:9")
    assert sft() == 1
    assert "Together cannot be reached" in capsys.readouterr().err


# Watching


def test_a_disconnect_while_watching(server: TogetherServer, capsys: Caught) -> None:
    server.fault("GET", "/v1/fine-tunes/ft-[^/]*", FAULTS["reset"], times=3 * api.ATTEMPTS)
    assert sft("--watch") == 0
    out = capsys.readouterr().out
    assert out.count("trying again") == 1
    assert out.count("Together answers again") == 1
    assert [each["status"] for each in row(next(iter(server.jobs)))["status_history"]] == list(JOB_STAGES)


def test_watching_ends_where_it_can_see_nothing_any_more(server: TogetherServer, capsys: Caught) -> None:
    """Its key was withdrawn, say; the job knows nothing of it."""
    assert sft() == 0
    [job_id] = server.jobs
    server.fault("GET", "/v1/fine-tunes/.*/events", Answer("key revoked", status=401))
    capsys.readouterr()
    assert tune("watch", job_id) == 4
    err = capsys.readouterr().err
    assert "key revoked" in err
    assert f"the job is left alone: `repoagent tune watch {job_id}` goes on from here" in err


def test_watching_again_tells_a_completed_job_s_end(server: TogetherServer, capsys: Caught) -> None:
    job_id = completed(server)
    before = row(job_id)
    capsys.readouterr()
    assert tune("watch", job_id) == 0
    assert f"{job_id}: completed" in capsys.readouterr().out
    assert row(job_id) == before


def test_no_such_job(server: TogetherServer, capsys: Caught) -> None:
    assert tune("watch", "ft-0") == 4
    assert "fine-tune job ft-0 not found" in capsys.readouterr().err


# Processes that end


@pytest.fixture
def slow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TogetherServer]:
    """For processes, which nap."""
    sft_file(tmp_path)
    with service(monkeypatch, tmp_path, naps=True) as running:
        yield running


def test_ctrl_c_leaves_the_job_running(slow_server: TogetherServer) -> None:
    slow_server.next_plan = ["pending", *["running"] * 10_000]
    assert sft() == 0
    [job_id] = slow_server.jobs
    watching = process("watch", job_id)
    assert eventually(lambda: len(slow_server.seen("GET", "/v1/fine-tunes/.*/events")) > 1, 60)
    os.kill(watching.pid, signal.SIGINT)
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"no longer watching; the job goes on: `repoagent tune watch {job_id}`" in out
    assert f"`repoagent tune cancel {job_id}` stops it" in out
    assert err == ""
    assert slow_server.seen("POST", ".*/cancel") == []


def test_a_killed_watch_is_taken_up(slow_server: TogetherServer) -> None:
    slow_server.next_plan = ["pending", "running", "running", "running", "completed"]
    assert sft() == 0
    [job_id] = slow_server.jobs
    watching = process("watch", job_id)
    assert eventually(lambda: len(slow_server.seen("GET", "/v1/fine-tunes/.*/events")) > 1, 60)
    watching.kill()
    watching.communicate()
    assert tune("watch", job_id) == 0
    assert [each["status"] for each in row(job_id)["status_history"]] == ["pending", "running", "completed"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_between_creation_and_its_reply(slow_server: TogetherServer, number: signal.Signals) -> None:
    slow_server.fault(*CREATE, Answer(delay_s=30.0), after=True)
    submitting = process("together", "sft", "train.jsonl", "--model", slow_server.tunable[0], "--max-usd", "1")
    assert eventually(lambda: slow_server.jobs, 60)
    os.kill(submitting.pid, number)
    out, _ = submitting.communicate(timeout=60)
    assert "makes no second job" in out or number == signal.SIGKILL
    [job_id] = slow_server.jobs
    assert sft() == 0
    assert list(slow_server.jobs) == [job_id]
    assert row(job_id)["request"] is not None
    assert main(["jobs"]) == 0
