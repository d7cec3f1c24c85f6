"""``repoagent tune local`` and ``repoagent serve`` on a tiny model made here (``make test-train``)."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import loop_kit
import pytest
import train_kit
from train_kit import TURN_END, Tiny
from tune_kit import ACTION, pairs_file, row, sft_file

from pytest_repoagent.cli import main
from pytest_repoagent.errors import UsageError

pytestmark = train_kit.pytestmark

Caught = pytest.CaptureFixture[str]
QUICK = ("--batch-size", "4", "--micro-batch-size", "4")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return train_kit.tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files to train on and the model, as the current one."""
    sft_file(tmp_path, rows=8)
    pairs_file(tmp_path, rows=8)
    shutil.copytree(tiny.folder, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    return tmp_path


def tune(*words: str) -> int:
    return main(["tune", "local", *words])


def sft(*words: str, data: str = "train.jsonl", model: str = "base", out: str = "tuned") -> int:
    return tune("sft", data, "--model", model, "--out", out, *QUICK, "--learning-rate", "1e-2", *words)


def record(folder: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(folder, "training.json").read_text())
    return loaded


def weights(folder: str) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    return dict(model.state_dict())


# What is learned


def test_the_loss_is_on_the_answer_and_its_end_and_nothing_else(tiny: Tiny, place: Path) -> None:
    from builders.local.chat import Chat
    from builders.local.data import Bound, read
    from builders.tuning.data import load

    (place / "odd.jsonl").write_text(
        json.dumps(
            {
                "messages": [
                    {"role": "system", "content": "caf\u00e9", "weight": 0},
                    {"role": "user", "content": f"{ACTION}\n\n", "weight": 0},
                    {"role": "assistant", "content": ACTION, "weight": 0},
                    {"role": "user", "content": "[tool_result]\n\U0001f600", "weight": 0},
                    {"role": "assistant", "content": ACTION, "weight": 1},
                ],
                "weight": 0.3,
            }
        )
    )
    [found] = read(load(place / "odd.jsonl", "sft").train, "sft", Chat(tiny.tokenizer, "m"), Bound(None, None)).rows
    learned = [given for given, label in zip(found["input_ids"], found["labels"], strict=True) if label != -100]
    assert tiny.tokenizer.decode(learned) == ACTION + TURN_END
    whole = tiny.tokenizer.decode(found["input_ids"])
    assert whole == f"<|system|>caf\u00e9{TURN_END}<|user|>{ACTION}\n\n{TURN_END}<|assistant|>{ACTION}{TURN_END}" + (
        f"<|user|>[tool_result]\n\U0001f600{TURN_END}<|assistant|>{ACTION}{TURN_END}"
    )
    assert found["weight"] == 0.3


def read_rollout(place: Path, tokenizer: Any, weights: tuple[int, int]) -> dict[str, Any]:
    """A row of a rollout with two actions, as it is trained; the weights say which actions are to be learned."""
    from builders.local.chat import Chat
    from builders.local.data import Bound, read
    from builders.tuning.data import load

    messages = [{"role": "system", "content": "s", "weight": 0}]
    for text, weight in zip((f"{ACTION} ", ACTION), weights, strict=True):
        messages.append({"role": "user", "content": "[tool_result]\nA", "weight": 0})
        messages.append({"role": "assistant", "content": text, "weight": weight})
    (place / "rollout.jsonl").write_text(json.dumps({"messages": messages}))
    [found] = read(load(place / "rollout.jsonl", "sft").train, "sft", Chat(tokenizer, "m"), Bound(None, None)).rows
    return found


@pytest.mark.parametrize(
    ("weights", "learned"),
    [((1, 1), f"{ACTION} {TURN_END}{ACTION}{TURN_END}"), ((1, 0), f"{ACTION} {TURN_END}"), ((0, 1), ACTION + TURN_END)],
)
def test_each_marked_action_of_a_rollout_is_learned(
    tiny: Tiny, place: Path, weights: tuple[int, int], learned: str
) -> None:
    found = read_rollout(place, tiny.tokenizer, weights)
    with_loss = [given for given, label in zip(found["input_ids"], found["labels"], strict=True) if label != -100]
    assert tiny.tokenizer.decode(with_loss) == learned


def test_a_template_that_changes_past_turns_takes_no_rollouts(tiny: Tiny, place: Path) -> None:
    changed = copy.deepcopy(tiny.tokenizer)
    changed.chat_template = train_kit.TEMPLATE.replace("{{ m.content }}", "{{ m.content | trim }}")
    with pytest.raises(UsageError, match=r"rollout.jsonl:1: .*--unit step"):
        read_rollout(place, changed, (1, 1))


def test_a_row_counts_as_much_as_its_weight(tiny: Tiny, place: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from builders.local.trainers import trainer
    from builders.local.watching import Watcher
    from builders.tuning.request import FULL, Hyperparameters

    how = Hyperparameters(
        training=FULL, n_epochs=1, n_evals=0, batch_size=2, learning_rate=1e-3, warmup_ratio=0, seed=0
    )
    model = AutoModelForCausalLM.from_pretrained("base")
    rows: list[dict[str, Any]] = [
        {"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4], "weight": 0.25},
        {"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "weight": 2.0},
    ]
    made = trainer("sft", model, tiny.tokenizer, (rows, None), how, 2, place / "work", Watcher(print))
    batch = made.data_collator(rows)
    with torch.no_grad():
        expected = 0.0
        for given in rows:
            logits = AutoModelForCausalLM.from_pretrained("base")(torch.tensor([given["input_ids"]])).logits[0]
            for at, label in enumerate(given["labels"]):
                if label != -100:
                    expected -= float(given["weight"] * logits[at - 1].log_softmax(-1)[label])
        loss = made.compute_loss(made.model, batch, num_items_in_batch=4)
    assert float(loss) == pytest.approx(expected / 4, rel=1e-4)


def test_sft_then_dpo_and_what_is_left_of_them(place: Path, capsys: Caught) -> None:
    assert sft("--epochs", "3") == 0
    assert (
        tune(
            "dpo",
            "pairs.jsonl",
            "--model",
            "tuned",
            "--out",
            "better",
            *QUICK,
            "--learning-rate",
            "1e-2",
            "--epochs",
            "6",
        )
        == 0
    )
    first, second = record("tuned"), record("better")
    assert (first["rows"], first["steps"], first["rows_left_out"]) == (8, 6, 0)
    assert first["tokens_with_loss_per_epoch"] == 8 * (len(ACTION) + 1)
    assert first["loss"][1] < first["loss"][0] - 0.1
    assert second["preferred_logp"][1] > second["preferred_logp"][0]
    margins = [good - bad for good, bad in zip(second["preferred_logp"], second["rejected_logp"], strict=True)]
    assert margins[1] > margins[0]
    sft_row, dpo_row = row(first["job_id"]), row(second["job_id"])
    assert (sft_row["provider"], sft_row["method"], sft_row["from_job"]) == ("local", "sft", None)
    assert (dpo_row["base_model"], dpo_row["from_job"]) == ("tuned", first["job_id"])
    assert [each["status"] for each in dpo_row["status_history"]] == ["running", "completed"]
    assert dpo_row["output_name"] == str(place / "better")
    assert json.loads(sft_row["figures"])["loss"] == first["loss"]
    assert json.loads(sft_row["request"])["training"]["lora_r"] == 16
    assert "step 6 of 6: loss" in capsys.readouterr().out


def test_the_merged_model_is_the_base_with_its_adapter(tiny: Tiny) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert sft() == 0
    merged = AutoModelForCausalLM.from_pretrained("tuned")
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("base"), "tuned/adapter")
    ids = torch.tensor([tiny.tokenizer("def f(x)")["input_ids"]])
    with torch.no_grad():
        found, expected = merged(ids).logits, adapted(ids).logits
        before = AutoModelForCausalLM.from_pretrained("base")(ids).logits
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)
    end = tiny.tokenizer.convert_tokens_to_ids(TURN_END)
    assert end in merged.generation_config.eos_token_id


def test_full_trains_every_weight_and_has_no_adapter() -> None:
    assert sft("--full") == 0
    before, after = weights("base"), weights("tuned")
    assert [name for name in before if before[name].equal(after[name])] == []
    assert not Path("tuned/adapter").exists()


def test_a_dataset_with_a_validation_file_is_evaluated_from_the_start(capsys: Caught) -> None:
    from builders.tuning.data import load

    val = load(Path("train.jsonl"), "sft").train
    Path("set").mkdir()
    shutil.copy("train.jsonl", "set/train.jsonl")
    shutil.copy("train.jsonl", "set/val.jsonl")
    files = {name: {"sha256": val.sha256} for name in ("train.jsonl", "val.jsonl")}
    manifest = {"format_name": "pytest-repoagent dataset", "schema": 1, "format": "together", "kind": "sft"}
    manifest |= {"tokenizer": "about", "store": {}, "code": {}, "dropped": {}, "leakage": {}}
    Path("set/manifest.json").write_text(json.dumps({**manifest, "files": files, "flags": {"unit": "step"}}))
    assert sft("--n-evals", "2", data="set") == 0
    assert capsys.readouterr().out.count("loss on the validation file") == 3
    start, end = record("tuned")["val_loss"]
    assert end < start


# Once, whole, or not at all


def test_the_same_training_is_not_done_twice(capsys: Caught) -> None:
    assert sft() == 0
    before = Path("tuned/model.safetensors").stat().st_mtime_ns
    assert sft() == 0
    assert "nothing was done" in capsys.readouterr().out
    assert Path("tuned/model.safetensors").stat().st_mtime_ns == before
    assert sft("--seed", "1") == 4
    assert "--out: tuned exists already" in capsys.readouterr().err


def test_an_interrupted_training_leaves_nothing(place: Path) -> None:
    words = ["tune", "local", "sft", "train.jsonl", "--model", "base", "--out", "tuned", "--epochs", "2000"]
    command = [sys.executable, "-m", "pytest_repoagent.cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    before = {path.name for path in place.iterdir()}
    for line in process.stdout:
        if "steps of" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "interrupted; nothing was written\n", "")
    assert {path.name for path in place.iterdir()} - before <= {".repoagent"}
    from pytest_repoagent.store import reader

    [[status]] = reader.query(Path(".repoagent/store.duckdb"), "SELECT status FROM jobs")[1]
    assert status == "cancelled"


def test_a_dry_run_trains_nothing(capsys: Caught) -> None:
    assert sft("--dry-run") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 8
    assert told["request"]["learning_rate"] == 1e-2
    assert not Path("tuned").exists()
    assert not Path(".repoagent").exists()


def test_too_little_memory_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: Caught) -> None:
    import torch

    from builders.local import training

    def fail(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(training, "trainer", fail)
    assert sft("--full") == 4
    told = capsys.readouterr().err
    assert "memory does not suffice for 4 rows of up to" in told
    assert "lower --micro-batch-size or leave --full out" in told
    assert not Path("tuned").exists()


# What cannot be trained


def test_a_row_longer_than_the_model_reads_is_an_error_and_never_cut(place: Path, capsys: Caught) -> None:
    config = json.loads(Path("base/config.json").read_text())
    Path("base/config.json").write_text(json.dumps({**config, "max_position_embeddings": 65}))
    lines = Path("train.jsonl").read_text().splitlines()
    Path("train.jsonl").write_text("\n".join([*lines[:3], lines[3].replace("GOAL: 3", "GOAL: 3, at once"), *lines[4:]]))
    assert sft() == 4
    assert "train.jsonl:4: the row has 69 tokens, but the model reads only 65" in capsys.readouterr().err
    assert sft("--max-length", "65") == 0
    assert "7 rows of at most 60 tokens; 1 longer than 65 were left out" in capsys.readouterr().out
    assert record("tuned")["rows_left_out"] == 1


def test_pairs_of_other_weights_are_refused(capsys: Caught) -> None:
    rows = [{**json.loads(line), "weight": 0.5} for line in Path("pairs.jsonl").read_text().splitlines()]
    Path("pairs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    assert tune("dpo", "pairs.jsonl", "--model", "base", "--out", "tuned") == 4
    assert "pairs.jsonl:1: the pair has weight 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lora-modules", "blub"), "--lora-modules: Target modules"),
        (("--full", "--lora-r", "8"), "--full trains all weights"),
        (("--max-length", "6"), "no row has at most 6 tokens"),
        (("--learning-rate", "0"), "--learning-rate: input should be greater than 0"),
    ],
)
def test_wrong_options(words: tuple[str, ...], said: str, capsys: Caught) -> None:
    assert sft(*words) == 4
    assert said in capsys.readouterr().err
    assert not Path("tuned").exists()


def test_models_that_cannot_be_trained(place: Path, capsys: Caught) -> None:
    assert sft(model=str(place)) == 4
    assert "is no folder of a model" in capsys.readouterr().err
    template = Path("base/chat_template.jinja")
    template.write_text(template.read_text().replace("<|end|>", "\n"))
    assert sft() == 4
    assert "would never stop" in capsys.readouterr().err
    template.unlink()
    assert sft() == 4
    assert "has no chat template" in capsys.readouterr().err


# Serving


def test_a_trained_model_answers_while_a_command_runs(capfd: Caught) -> None:
    Path("ask.py").write_text(
        "import json, os, sys, urllib.request as r\n"
        "body = {'model': sys.argv[1].removeprefix('openai:'), 'max_tokens': 4,\n"
        "        'messages': [{'role': 'user', 'content': 'hi'}]}\n"
        "ask = r.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions', json.dumps(body).encode(),\n"
        "                {'Content-Type': 'application/json'})\n"
        "reply = json.load(r.build_opener(r.ProxyHandler({})).open(ask))\n"
        "print('tokens:', reply['usage']['completion_tokens'])\n"
    )
    assert main(["serve", "base", "--run", f"{sys.executable} ask.py {{model}}"]) == 0
    assert "tokens: 4" in capfd.readouterr().out
    assert main(["serve", "base", "--run", "false"]) == 1


def test_a_server_that_cannot_load_the_model_says_why(capsys: Caught) -> None:
    Path("base/model.safetensors").write_bytes(b"broken")
    assert main(["serve", "base"]) == 1
    assert "the server ended before it was ready" in capsys.readouterr().err


# The loop


def test_the_loop_on_this_machine(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: Caught) -> None:
    loop_kit.project(place)
    loop_kit.in_this_process(monkeypatch)
    who = ("--model", "base", "--teacher", "repair", "--student", "novice:repair@0.5")
    suites = ("--train-suite", "few_train.json", "--heldout-suite", "few_heldout.json")
    few = ("--pytest-options", "--max-iters=6 --max-tokens=8 -p no:cacheprovider")
    command = ["loop", "local", "--out", "own", *who, *suites, *few]
    command += ["--sft-options", "--epochs 1 --full", "--dpo-options", "--lora-r 4"]
    assert main(command) == 0
    out, _ = capfd.readouterr()
    assert "strict_valid" in out
    first, second = record("own/own-sft"), record("own/own-dpo")
    assert (first["request"]["model"], second["request"]["model"]) == ("base", "own/own-sft")
    assert row(second["job_id"])["from_job"] == first["job_id"]
    from pytest_repoagent.store import reader

    models = reader.query(Path(".repoagent/store.duckdb"), "SELECT DISTINCT model FROM rollouts ORDER BY model")[1]
    assert [model for (model,) in models] == ["openai:base", "openai:own-dpo", "openai:own-sft", "repair"]
    assert main(command) == 0
    assert loop_kit.done(capfd.readouterr().out) == loop_kit.STAGES
