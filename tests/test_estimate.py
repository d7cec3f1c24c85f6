"""What a planned collection will take, by what the store has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from store_factory import final, rollout

from pytest_repoagent.cli import main
from pytest_repoagent.estimate import estimate
from pytest_repoagent.prices import Price
from pytest_repoagent.store.writer import StoreWriter

PRICE = Price(prompt=10.0, completion=100.0)
MODEL = "openai:m"


def recorded(task: str, prompt: int, completion: int, **facts: Any) -> Any:
    return rollout([final()], task=task, model=MODEL, tokens=(prompt, completion), **facts)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two tasks, one of them twice; rollouts are in flight from second 0 to 3 and, after a rest, from 60 to 64."""
    path = tmp_path / "store.duckdb"
    at = "2026-11-20T10:{}+00:00".format
    StoreWriter(path).write(
        [
            recorded("t/a", 900, 100, started_at=at("00:00"), duration_s=2.0),
            recorded("t/a", 700, 300, started_at=at("00:01"), duration_s=2.0, index=1),
            recorded("t/b", 3000, 0, started_at=at("01:00"), duration_s=4.0),
            recorded("t/b", 9, 9, outcome="provider_error", index=1),
            recorded("t/b", 5, 5, settings_hash="other", run_id="run0", started_at="2026-11-19T10:00:00+00:00"),
            rollout([final()], task="t/a", model="other", tokens=(1, 1)),
            rollout([final()], task="t/a", model="oracle"),
        ]
    )
    return path


def test_tasks_weigh_the_same_and_only_like_rollouts_count(store: Path) -> None:
    made = estimate(store, MODEL, ["t/a", "t/b", "t/c"], 10, PRICE, at_once=None)
    assert (made.run_id, made.recorded, made.recorded_tasks, made.planned) == ("run1", 3, 2, True)
    assert made.rollouts == 30
    assert made.tokens is not None
    assert made.usd is not None
    assert made.tokens.likely == 30 * (1000 + 3000) / 2
    assert made.prompt_share == pytest.approx((800 + 3000) / 2 / 2000)
    assert made.usd.likely == pytest.approx(30 * ((800 * 10 + 200 * 100) + 3000 * 10) / 2 / 1e6)


def test_the_range_is_a_prediction_interval(store: Path) -> None:
    made = estimate(store, MODEL, ["t/a", "t/b"], 1, None, at_once=1)
    assert made.tokens is not None
    variance = 4 / 3 * 1000**2  # of 1000, 1000, 3000
    spread = 2.919986 * (2 * variance * (1 + 2 / 3)) ** 0.5
    assert made.tokens.high == pytest.approx(4000 + spread)
    assert made.tokens.low == 0
    assert made.usd is None


def test_time_is_by_what_was_in_flight_while_anything_was(store: Path) -> None:
    made = estimate(store, MODEL, ["t/a", "t/b"], 100, None, at_once=None)
    spoiled_and_others = 3 * 2  # between 0.125 and 2.125
    assert made.at_once == pytest.approx((2 + 2 + 4 + spoiled_and_others) / (3 + 4))
    assert made.wall_s == pytest.approx(200 * (2 + 4) / 2 / made.at_once)
    assert estimate(store, MODEL, ["t/a"], 1, None, at_once=50).wall_s == 2.0


def test_other_tasks_and_a_single_rollout_are_better_than_nothing(store: Path) -> None:
    other = estimate(store, MODEL, ["t/z"], 1, None, at_once=None)
    assert (other.recorded, other.planned) == (3, False)
    single = estimate(store, "other", ["t/a"], 4, None, at_once=None)
    assert single.tokens is not None
    assert (single.tokens.likely, single.tokens.low, single.tokens.high) == (8, None, None)


def test_the_command(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["estimate", f"--model={MODEL}", "--suite=minibugs_train", f"--store={store}"]
    assert main([*args, "--rollouts=50", "--price=10,100", "--concurrency=10"]) == 0
    first, tokens, cost, price, time = capsys.readouterr().out.splitlines()
    assert first == "1400 rollouts of 28 tasks, by what 3 rollouts of 2 other tasks took under the settings of run run1"
    assert re.fullmatch(
        r"tokens  2,800,000, between [\d,]+ and [\d,]+ nine times out of ten, 95 % of them in prompts", tokens
    )
    assert cost.startswith("cost    $40.60, between $")
    assert price.strip() == f"{MODEL} costs $10 and $100 for a million prompt and completion tokens"
    assert time == "time    7 min with 10 rollouts at once"
    assert main([*args]) == 0
    *_, price, _ = capsys.readouterr().out.splitlines()
    assert "no price is known for openai:m, so only tokens are counted" in price
    assert main(["estimate", "--model=oracle", "--suite=minibugs_train", f"--store={store}"]) == 0
    assert "tokens  none are counted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--model=repair"], "has no rollout of repair to go by: run a few"),
        (["--model=oracle", "--rollouts=0"], "--rollouts=0 cannot be used"),
        (["--model=oracle", "--price=1"], "--price=1 cannot be used"),
        (["--model=oracle", "--suite=nothing"], "there is no suite 'nothing'"),
        (["--model=oracle", "--store=none.duckdb"], "there is no store at none.duckdb"),
    ],
)
def test_what_cannot_be_estimated(store: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    assert main(["estimate", "--suite=minibugs_train", f"--store={store}", *args]) == 4
    assert says in capsys.readouterr().err
