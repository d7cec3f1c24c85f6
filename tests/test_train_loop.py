"""``make loop-demo`` runs through, here with as little of everything as can be (``make test-train``)."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import train_kit

BENCH = Path(__file__).parents[1] / "bench"
pytestmark = train_kit.pytestmark


def test_every_stage_runs_and_is_recorded_in_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    monkeypatch.chdir(BENCH.parent)
    from loop_demo import Size, run
    from loop_model import Shape

    size = Size(
        traces="--rollouts=1 --paraphrase=10 --max-iters=3 -k split_cents",
        shape=Shape(vocabulary=500, layers=2, width=64),
        evaluation="--rollouts=1 --max-iters=2 --max-tokens=16 -k caesar_shift",
        sft="--epochs=1 --learning-rate=1e-3 --batch-size=4",
        branch="--samples=2 --max-states=2 --max-tokens=16",
        dpo="--epochs=1 --learning-rate=1e-4 --batch-size=4",
    )
    report = run(tmp_path / "demo", size)

    assert "**sft** compared with **base**" in report
    assert "**dpo** compared with **sft**" in report
    with duckdb.connect(str(tmp_path / "demo/store.duckdb"), read_only=True) as store:
        asked = store.execute("SELECT DISTINCT model FROM rollouts WHERE split = 'heldout' ORDER BY model").fetchall()
        jobs = store.execute("SELECT method, status FROM jobs ORDER BY submitted_at").fetchall()
    assert asked == [("openai:base",), ("openai:dpo",), ("openai:sft",)]
    assert jobs == [("sft", "completed"), ("dpo", "completed")]
