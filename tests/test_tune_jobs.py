"""Jobs at Together from submission to their end, through the real SDK on a loopback service."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import together
from loopback import Answer
from rollout_kit import train_rollout
from together_server import BASE, TogetherServer
from tune_kit import KEY, completed, finished, pairs_file, row, service, sft, sft_file, tune

from builders.tuning import api, submit
from pytest_repoagent.cli import main
from pytest_repoagent.errors import RepoAgentError
from pytest_repoagent.store.writer import StoreWriter

Caught = pytest.CaptureFixture[str]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TogetherServer]:
    sft_file(tmp_path)
    pairs_file(tmp_path)
    with service(monkeypatch, tmp_path) as running:
        yield running


def created(server: TogetherServer) -> list[Any]:
    return [request.json for request in server.seen("POST", "/v1/fine-tunes")]


# From data to a model that answers


def test_sft_then_dpo_from_its_checkpoint_then_chat(server: TogetherServer, tmp_path: Path, capfd: Caught) -> None:
    (tmp_path / "ask.py").write_text(
        "import os, sys, together\n"
        "client = together.Together(base_url=os.environ['TOGETHER_BASE_URL'])\n"
        "name = sys.argv[1].removeprefix('together:')\n"
        "reply = client.chat.completions.create(model=name, messages=[{'role': 'user', 'content': 'hi'}])\n"
        "print('the model says', reply.choices[0].message.content)\n"
    )
    assert sft("--watch", "--preview") == 0
    [first] = server.jobs
    assert tune("together", "dpo", "pairs.jsonl", "--from-job", first, "--max-usd", "1", "--watch") == 0
    _, second = server.jobs
    assert tune("deploy", second, "--for", "10m", "--max-usd", "1", "--run", f"{sys.executable} ask.py {{model}}") == 0
    out, err = capfd.readouterr()
    assert "the model says ok" in out
    assert err == ""
    assert server.endpoints == {}
    assert created(server)[1]["from_checkpoint"] == first
    sft_row, dpo_row = row(first), row(second)
    assert (sft_row["method"], sft_row["base_model"], sft_row["from_job"]) == ("sft", BASE, None)
    assert (dpo_row["method"], dpo_row["base_model"], dpo_row["from_job"]) == ("dpo", BASE, first)
    assert [each["status"] for each in dpo_row["status_history"]] == [
        *("pending", "queued", "running", "compressing", "uploading", "completed")
    ]
    assert json.loads(dpo_row["request"]) == created(server)[1]
    assert dpo_row["model_object_id"].startswith("ml_")
    assert sft_row["cost_usd"] == pytest.approx((tmp_path / "train.jsonl").stat().st_size * 1e-6)
    assert sft_row["estimate_usd"] == pytest.approx(sft_row["cost_usd"])


def test_the_documented_session(server: TogetherServer, tmp_path: Path) -> None:
    """The commands of docs/tune.md that need a key, in their order, on the files and jobs that are here."""
    page = (Path(__file__).parent.parent / "docs/tune.md").read_text()
    commands = re.findall(r"^\$ repoagent tune (.*--max-usd.*)$", page, re.MULTILINE)
    jobs_shown = list(dict.fromkeys(re.findall(r"ft-[0-9a-f-]+", "".join(commands))))
    assert len(commands) == 3
    for command in commands:
        for shown, known in zip(jobs_shown, server.jobs, strict=False):
            command = command.replace(shown, known)
        command = re.sub(r'"pytest .*?"', f"'{sys.executable} -c pass'", command)
        words = command.replace("datasets/sft", "train.jsonl").replace("datasets/pairs", "pairs.jsonl")
        assert tune(*shlex.split(words)) == 0
    assert [job.status for job in server.jobs.values()] == ["completed", "completed"]
    assert server.made_endpoints == 1


def test_a_dataset_with_validation(server: TogetherServer, tmp_path: Path) -> None:
    StoreWriter(tmp_path / ".repoagent/store.duckdb").write([train_rollout(at) for at in range(6)])
    assert main(["build", "sft", "--out", "data", "--val-fraction", "0.3"]) == 0
    assert sft("--n-evals", "3", data="data") == 0
    [body] = created(server)
    assert body["n_evals"] == 3
    names = {stored.id: stored.name for stored in server.files.values()}
    assert [names[body[each]] for each in ("training_file", "validation_file")] == ["train.jsonl", "val.jsonl"]
    manifest = json.loads(Path("data/manifest.json").read_text())
    found = row(next(iter(server.jobs)))
    assert found["train_sha256"] == manifest["files"]["train.jsonl"]["sha256"]
    assert found["val_sha256"] == manifest["files"]["val.jsonl"]["sha256"]


def test_jobs_are_listed(server: TogetherServer, capsys: Caught) -> None:
    assert sft() == 0
    capsys.readouterr()
    assert main(["jobs"]) == 0
    assert next(iter(server.jobs)) in capsys.readouterr().out


def test_without_jobs_the_list_says_so(server: TogetherServer, tmp_path: Path, capsys: Caught) -> None:
    StoreWriter(tmp_path / ".repoagent/store.duckdb").write([train_rollout(0)])
    assert main(["jobs"]) == 4
    assert "no job is recorded" in capsys.readouterr().err


# The request


def test_the_request_is_what_the_sdk_would_send(server: TogetherServer) -> None:
    """Field by field what ``fine_tuning.create`` makes of the same hyperparameters."""
    first = completed(server)
    assert tune("together", "dpo", "pairs.jsonl", "--from-job", first, "--max-usd", "1") == 0
    ours = created(server)
    common: dict[str, Any] = {
        "packing": True,
        "batch_size": "max",
        "warmup_ratio": 0.05,
        "random_seed": 0,
        "lora": True,
    }
    lora: dict[str, Any] = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "lora_trainable_modules": "all-linear"}
    client = together.Together(http_client=together.DefaultHttpxClient(trust_env=False))
    with client:
        client.fine_tuning.create(
            **common,
            **lora,
            model=BASE,
            training_file=ours[0]["training_file"],
            n_epochs=2,
            learning_rate=1e-4,
            train_on_inputs=False,
            suffix=ours[0]["suffix"],
        )
        client.fine_tuning.create(
            **common,
            **lora,
            from_checkpoint=first,
            training_file=ours[1]["training_file"],
            n_epochs=1,
            learning_rate=5e-6,
            training_method="dpo",
            dpo_beta=0.1,
            rpo_alpha=1.0,
            suffix=ours[1]["suffix"],
        )
    assert created(server)[2:] == ours


def test_a_dry_run_is_the_request_and_needs_no_key(
    server: TogetherServer, monkeypatch: pytest.MonkeyPatch, capsys: Caught
) -> None:
    options = ("--lora-r", "8", "--epochs", "3", "--learning-rate", "2e-4", "--seed", "7", "--batch-size", "8")
    assert sft(*options) == 0
    [sent] = created(server)
    asked = len(server.requests)
    capsys.readouterr()
    monkeypatch.delenv("TOGETHER_API_KEY")
    assert sft(*options, "--dry-run") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.pop("training_file") == f"sha256:{row(next(iter(server.jobs)))['train_sha256']}"
    assert sent.pop("training_file").startswith("file-")
    assert shown == sent
    assert shown["training_type"]["lora_alpha"] == 16
    assert len(server.requests) == asked


def test_dpo_goes_on_with_the_lora_it_starts_from(server: TogetherServer, capsys: Caught) -> None:
    assert sft("--lora-r", "32", "--lora-modules", "q_proj,v_proj", "--watch") == 0
    [first] = server.jobs
    words = ("together", "dpo", "pairs.jsonl", "--from-job", first)
    capsys.readouterr()
    assert tune(*words, "--dry-run") == 0
    dry = json.loads(capsys.readouterr().out)
    assert tune(*words, "--max-usd", "1") == 0
    one, two = (body["training_type"] for body in created(server))
    assert one == two == dry["training_type"]
    assert (one["lora_r"], one["lora_alpha"], one["lora_trainable_modules"]) == (32, 64, "q_proj,v_proj")


def test_a_full_job_is_followed_by_a_full_one(server: TogetherServer) -> None:
    assert sft("--full", "--watch") == 0
    [first] = server.jobs
    assert tune("together", "dpo", "pairs.jsonl", "--from-job", first, "--max-usd", "1") == 0
    assert [body["training_type"] for body in created(server)] == [{"type": "Full"}] * 2


def test_a_dry_run_does_not_guess_how_a_job_was_trained(server: TogetherServer, capsys: Caught) -> None:
    assert tune("together", "dpo", "pairs.jsonl", "--from-job", "ft-elsewhere", "--dry-run") == 4
    assert "was not submitted with the store" in capsys.readouterr().err


def test_the_builder_is_the_same_command(server: TogetherServer, tmp_path: Path, capsys: Caught) -> None:
    words = ("sft", "train.jsonl", "--model", BASE, "--dry-run")
    command = [sys.executable, "-m", "builders.finetune_together", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tune("together", *words) == 0
    assert done.stdout == capsys.readouterr().out


# Nothing twice


def test_a_file_is_uploaded_once(server: TogetherServer) -> None:
    assert sft() == 0
    assert sft("--seed", "1") == 0
    assert len(server.seen("PUT", "/storage/.*")) == 1
    assert len(server.jobs) == 2


def test_the_same_job_is_not_made_again(server: TogetherServer, capsys: Caught) -> None:
    assert sft() == 0
    [job_id] = server.jobs
    before = row(job_id)
    assert sft() == 0
    assert list(server.jobs) == [job_id]
    assert "was submitted before and is pending; no second one was made" in capsys.readouterr().out
    assert row(job_id) == before


@pytest.mark.parametrize("end", ["cancelled", "error", "user_error"])
def test_a_job_that_failed_can_be_submitted_again(server: TogetherServer, end: str) -> None:
    server.next_plan = ["pending", end]
    assert sft("--watch") == 1
    assert sft("--watch") == 0
    assert [job.status for job in server.jobs.values()] == [end, "completed"]


# How it ends


@pytest.mark.parametrize(
    ("end", "error"),
    [("cancelled", "Job cancelled"), ("error", "Node failed"), ("user_error", "The data does not fit the method")],
)
def test_an_end_other_than_completion(server: TogetherServer, end: str, error: str, capsys: Caught) -> None:
    server.next_plan = ["pending", "running", end]
    assert sft("--watch") == 1
    out = capsys.readouterr().out
    assert error in out
    assert f": {end}; " in out
    found = row(next(iter(server.jobs)))
    assert (found["status"], found["error"], found["model_object_id"]) == (end, error, None)


def test_cancel(server: TogetherServer, capsys: Caught) -> None:
    assert sft() == 0
    [job_id] = server.jobs
    assert tune("cancel", job_id) == 0
    assert tune("watch", job_id) == 1
    assert [each["status"] for each in row(job_id)["status_history"]] == ["pending", "cancel_requested", "cancelled"]
    capsys.readouterr()
    assert tune("cancel", job_id) == 4
    assert "already cancelled" in capsys.readouterr().err


def test_a_job_from_elsewhere_is_recorded_when_it_is_watched(server: TogetherServer) -> None:
    job_id = finished(server)
    assert tune("watch", job_id) == 0
    assert (row(job_id)["status"], row(job_id)["cost_usd"], row(job_id)["method"]) == ("completed", 0.5, None)


# What is refused before anything is paid for


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "Qwen/Qwen2.5-7B-Instruct"], "it tunes Qwen/Qwen3.5-9B, meta-llama/"),
        (["--lora-r", "128"], "--lora-r is 128, but Qwen/Qwen3.5-9B takes 1 to 64"),
        (["--epochs", "21"], "--epochs is 21, but Qwen/Qwen3.5-9B takes 1 to 20"),
        (["--learning-rate", "0.1"], "--learning-rate is 0.1, but Qwen/Qwen3.5-9B takes 1e-08 to 0.01"),
        (["--batch-size", "4"], "--batch-size is 4, but Qwen/Qwen3.5-9B takes 8 to 8"),
        (["--n-evals", "101"], "--n-evals is 101"),
        (["--epochs", "0"], "--epochs: '0' is not a whole number from 1"),
        (["--lora-r", "0"], "--lora-r: '0' is not a whole number from 1"),
        (["--batch-size", "many"], "--batch-size: 'many' is not a whole number"),
        (["--warmup-ratio", "1.5"], "--warmup-ratio: input should be less than or equal to 1"),
        (["--full", "--lora-r", "8"], "--full trains all weights"),
        (["--max-usd", "0.0001"], "which is above --max-usd 0.0001; nothing was submitted"),
        (["--max-usd", "inf"], "--max-usd"),
    ],
)
def test_refused(server: TogetherServer, options: list[str], said: str, capsys: Caught) -> None:
    assert sft(*options) == 4
    assert said in capsys.readouterr().err
    assert server.jobs == {}


def test_a_price_must_be_bounded(server: TogetherServer, capsys: Caught) -> None:
    assert tune("together", "sft", "train.jsonl", "--model", BASE) == 4
    assert "--max-usd is missing" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    "estimate",
    [
        {"estimation_available": False, "unavailable_reason": "train_file_not_validated"},
        {"estimated_total_price": None},
    ],
)
def test_without_an_estimate_nothing_is_submitted_unless_told_to(
    server: TogetherServer, estimate: dict[str, Any], capsys: Caught
) -> None:
    server.estimate = estimate
    assert sft() == 4
    assert "--without-estimate submits it all the same" in capsys.readouterr().err
    assert server.jobs == {}
    assert sft("--without-estimate") == 0
    assert row(next(iter(server.jobs)))["estimate_usd"] is None


def test_an_account_that_may_not_spend_it(server: TogetherServer, capsys: Caught) -> None:
    server.estimate = {"allowed_to_proceed": False, "user_limit": 0.5}
    assert sft() == 4
    assert "which the account may not spend (limit: $0.5000)" in capsys.readouterr().err
    assert server.jobs == {}


def test_a_file_that_the_service_refuses(server: TogetherServer, capsys: Caught) -> None:
    server.finding = "Line 3: roles must alternate"
    assert sft() == 4
    err = capsys.readouterr().err
    assert "train.jsonl (file-" in err
    assert "Line 3: roles must alternate" in err
    assert server.jobs == {}


def test_a_file_of_which_the_service_read_less(server: TogetherServer, capsys: Caught) -> None:
    report = {"valid": True, "dataset_format": "CONVERSATION", "nlines": 3}
    server.fault(
        "GET",
        "/v1/files/.*",
        Answer(body={"id": "file-1", "processing_status": "COMPLETED", "validation_report": report}),
    )
    assert sft() == 4
    assert "Together read 3 rows of the 4" in capsys.readouterr().err
    assert server.jobs == {}


def test_masks_other_than_written(server: TogetherServer, capsys: Caught) -> None:
    server.trained_pieces = 1
    assert sft("--preview") == 4
    assert "train.jsonl:1: Together would learn 2 pieces of this row, but 1 of its messages" in capsys.readouterr().err
    assert server.jobs == {}


def test_a_row_that_would_be_cut(server: TogetherServer, capsys: Caught) -> None:
    rows = [{"num_tokens": 9, "num_trained_tokens": 1, "trained_spans": [[1, 2]], "truncated": True}]
    server.fault("POST", "/v1/fine-tunes/preview", Answer(body={"rows": rows}))
    assert sft("--preview") == 4
    assert "train.jsonl:1: Together would cut this row at 9 tokens" in capsys.readouterr().err
    assert server.jobs == {}


def test_a_checkpoint_of_an_unfinished_job(server: TogetherServer, capsys: Caught) -> None:
    assert sft() == 0
    [first] = server.jobs
    capsys.readouterr()
    assert tune("together", "dpo", "pairs.jsonl", "--from-job", first, "--max-usd", "1") == 4
    assert f"--from-job: {first} is pending" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sft", "pairs.jsonl"], "is a row for preference in a file for sft"),
        (["dpo", "train.jsonl"], "is a row for sft in a file for preference"),
        (["sft", "nothing.jsonl"], "there is no such file"),
        (["sft", "data.csv"], "is no dataset's folder and no .jsonl file"),
        (["sft", "."], "is no dataset of pytest-repoagent"),
    ],
)
def test_wrong_data(server: TogetherServer, words: list[str], said: str, capsys: Caught) -> None:
    Path("data.csv").write_text("prompt,completion\n")
    assert tune("together", *words, "--model", BASE, "--max-usd", "1") == 4
    assert said in capsys.readouterr().err
    assert server.requests == []


@pytest.fixture
def dataset(server: TogetherServer, tmp_path: Path) -> Path:
    StoreWriter(tmp_path / ".repoagent/store.duckdb").write([train_rollout(at) for at in range(6)])
    return tmp_path / "data"


def test_a_dataset_that_was_changed(dataset: Path, capsys: Caught) -> None:
    assert main(["build", "sft", "--out", "data"]) == 0
    file = dataset / "train.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    assert sft("--dry-run", data="data") == 4
    assert "train.jsonl was changed since the dataset was built" in capsys.readouterr().err


def test_a_dataset_for_another_trainer(dataset: Path, capsys: Caught) -> None:
    assert main(["build", "sft", "--out", "data", "--format", "trl"]) == 0
    assert sft("--dry-run", data="data") == 4
    assert "is in the format of trl; build it with --format together" in capsys.readouterr().err


def test_whole_rollouts_on_a_base_that_learns_only_the_last_message(
    dataset: Path, server: TogetherServer, capsys: Caught
) -> None:
    assert main(["build", "sft", "--out", "data", "--unit", "trajectory"]) == 0
    assert sft(data="data") == 4
    assert "build them with --unit step" in capsys.readouterr().err
    server.limits = {"supports_reasoning": False}
    assert sft(data="data") == 0


# The key


def test_without_a_key(server: TogetherServer, monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    monkeypatch.delenv("TOGETHER_API_KEY")
    assert sft() == 4
    assert "TOGETHER_API_KEY is not set" in capsys.readouterr().err


def test_a_key_is_shown_and_kept_nowhere(server: TogetherServer, tmp_path: Path, capsys: Caught) -> None:
    """Not even where the service repeats it, which the loopback one does when it rejects a key."""
    completed(server)
    server.api_key = "another"
    assert sft("--seed", "1") == 4
    out, err = capsys.readouterr()
    assert "the key was rejected: check TOGETHER_API_KEY" in err
    assert "invalid API key Bearer [key]" in err
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / ".repoagent/store.duckdb" in kept
    assert KEY not in out + err
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize("fault", [Answer(f"no {KEY}", status=403), Answer(f"{KEY}!", status=500), Answer(body=KEY)])
def test_a_key_is_in_no_exception(server: TogetherServer, tmp_path: Path, fault: Answer) -> None:
    """Nor in what hangs on one: its chain and the variables of its frames."""
    server.fault("POST", "/v1/files", fault, times=99)
    server.fault("GET", "/v1/fine-tunes", fault, times=99)
    account = api.Api()
    for call in (
        lambda: account.upload(tmp_path / "train.jsonl"),
        lambda: submit.create_once(account, {"suffix": "s"}),
    ):
        with pytest.raises(RepoAgentError) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            assert isinstance(error, RepoAgentError)
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            theirs = [line for line in shown.format() if "test_tune_jobs.py" not in line]
            assert KEY not in "".join(theirs) + repr(error.args) + repr(vars(error))
            error = error.__cause__ or error.__context__


def test_a_foreign_list_of_statuses(server: TogetherServer) -> None:
    """A status that is not known yet is no end."""
    server.next_plan = ["pending", "Evaluating", "COMPLETED"]
    assert sft("--watch") == 0
    assert [each["status"] for each in row(next(iter(server.jobs)))["status_history"]] == [
        *("pending", "evaluating", "completed")
    ]
