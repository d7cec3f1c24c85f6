"""``repoagent loop``: every stage as its own command, against the loopback service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import loop_kit
import pytest
from loop_kit import STAGES
from together_server import BASE, TogetherServer
from tune_kit import service

from builders.loop import walk
from builders.loop.stages import Stage
from pytest_repoagent.cli import main
from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.store.reader import query

Caught = pytest.CaptureFixture[str]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TogetherServer]:
    """A service, and a project with two suites of few bugs; our own commands run in this process, pytest outside."""
    loop_kit.project(tmp_path)
    loop_kit.in_this_process(monkeypatch)
    with service(monkeypatch, tmp_path) as running:
        yield running


def loop(max_usd: str, *words: str) -> int:
    names = ("--model", BASE, "--base", "novice:repair@0.5", "--teacher", "repair", "--student", "novice:repair@0.5")
    suites = ("--train-suite", "few_train.json", "--heldout-suite", "few_heldout.json")
    how = (
        "--pytest-options",
        "--max-iters=6 -p no:cacheprovider",
        "--sft-options",
        "--epochs 3",
        "--max-usd",
        max_usd,
    )
    return main(["loop", "together", "--out", "loops/first", *names, *suites, *how, *words])


def test_a_loop_ends_in_a_comparison_and_is_not_done_twice(server: TogetherServer, capfd: Caught) -> None:
    assert loop("0.001") == 1
    out, err = capfd.readouterr()
    assert "tune-sft: says its price first; spent so far: $0.0000" in out
    assert "is above --max-usd 0.001" in err
    assert "tune-sft has ended with exit status 4" in err
    assert server.jobs == {}

    assert loop("20") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert loop_kit.done(out) == STAGES[:3]
    first, second = server.jobs
    assert f"tune-sft: {first}" in out
    assert f"$ repoagent tune together dpo loops/first/pairs --from-job {first} --max-usd " in out
    assert server.jobs[first].request["n_epochs"] == 3
    assert server.endpoints == {}
    assert "A: " in out
    assert "strict_valid" in out
    models = query(Path(".repoagent/store.duckdb"), "SELECT DISTINCT model FROM rollouts ORDER BY model")[1]
    assert [model for (model,) in models][:1] == ["novice:repair@0.5"]
    assert len(models) == 4

    assert loop("20") == 0
    out, _ = capfd.readouterr()
    assert loop_kit.done(out) == STAGES
    assert list(server.jobs) == [first, second]
    assert "strict_valid" in out

    assert loop("20", "--teacher", "oracle") == 4
    _, err = capfd.readouterr()
    assert "the loop in loops/first was begun with --teacher repair; name another folder" in err


def test_wrong_suites_and_missing_prices_are_refused_before_anything_runs(
    server: TogetherServer, capfd: Caught
) -> None:
    assert loop("1", "--train-suite", "few_heldout.json") == 4
    assert "--train-suite: the split of few_heldout.json is heldout, but must be train" in capfd.readouterr().err
    assert loop("1", "--teacher", "together:big") == 4
    assert "--max-usd needs what together:big costs: give --price together:big=IN,OUT" in capfd.readouterr().err
    assert loop("1", "--price", "big") == 4
    assert "--price: 'big' is not of the form SPEC=IN,OUT" in capfd.readouterr().err
    assert not Path("loops").exists()


def test_a_dry_run_shows_every_command_and_runs_none(server: TogetherServer, capfd: Caught) -> None:
    assert loop("1", "--dry-run") == 0
    out, _ = capfd.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines() if line.endswith(": to do")] == STAGES
    assert "$ pytest --model=repair --suite=few_train.json --rollouts=1 --tag=first-teacher --max-iters=6" in out
    assert not Path("loops").exists()
    assert not Path(".repoagent").exists()


def test_the_lane_of_this_machine_chains_its_folders(server: TogetherServer, capfd: Caught) -> None:
    words = ["--out", "own", "--model", "base", "--teacher", "repair", "--train-suite", "few_train.json"]
    assert main(["loop", "local", *words, "--heldout-suite", "few_heldout.json", "--dry-run"]) == 0
    out, _ = capfd.readouterr()
    run = "'pytest --model={model} --suite=few_heldout.json --rollouts=1 --tag=own-"
    assert f"$ repoagent serve base --run {run}base'" in out
    assert "$ repoagent tune local sft own/sft --model base --out own/own-sft\n" in out
    assert "$ repoagent tune local dpo own/pairs --model own/own-sft --out own/own-dpo\n" in out
    assert f"$ repoagent serve own/own-dpo --run {run}dpo'" in out
    assert "--student {model}'\n" in out


def stage(command: list[str], outcome: str | None = None, expected: float | None = 0.0) -> Stage:
    return Stage("cook", lambda left: command, lambda: outcome, lambda: expected)


def test_a_stage_beyond_the_budget_is_not_begun(tmp_path: Path) -> None:
    touch = ["touch", str(tmp_path / "begun")]
    for expected, spent in ((2.0, 1.0), (None, 3.0)):
        with pytest.raises(UsageError, match=f"cook was not begun: of --max-usd 2.5, \\${spent:.2f} is spent"):
            walk.walk([stage(touch, expected=expected)], partial(float, spent), 2.5, print)
    assert not (tmp_path / "begun").exists()
    with pytest.raises(InfrastructureError, match="exit status 0 and without all of its outcome"):
        walk.walk([stage(touch, expected=0.0)], lambda: 3.0, 2.5, print)
    assert (tmp_path / "begun").exists()


def test_ctrl_c_waits_for_the_command_to_clean_up(tmp_path: Path) -> None:
    slow = (
        "import time\n"
        "try: print('up', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: time.sleep(0.5); print('clean')"
    )
    code = f"from builders.loop.walk import run; import sys; run([sys.executable, '-c', {slow!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert out == "clean\n"
    assert "KeyboardInterrupt" in err
