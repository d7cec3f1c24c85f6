from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import eval_kit
import pytest
from store_factory import bad, events, final, read, write

from pytest_repoagent.cli import main
from pytest_repoagent.compare.arms import Arm, Identity
from pytest_repoagent.compare.comparison import compare
from pytest_repoagent.compare.inference import sign_flip_p, wilson
from pytest_repoagent.errors import UsageError
from pytest_repoagent.fold import fold
from pytest_repoagent.store.values import COLUMNS
from pytest_repoagent.store.writer import StoreWriter

SAME: dict[str, Any] = {
    "suite": "tiny",
    "suite_sha256": "1" * 64,
    "settings_hash": "abc",
    "settings": {"window": "full"},
}


def arm(name: str, passes: Sequence[Sequence[int]], **values: Sequence[Sequence[float | None]]) -> Arm:
    """An arm whose task i has a rollout per number of ``passes[i]``."""
    columns = {"pass_rate": passes, **values}
    tasks: dict[str, dict[str, Sequence[float | None]]] = {
        f"t/{i:02}": {
            **{column: [None] * len(made) for column in COLUMNS},
            "seed": list(range(len(made))),
            **{column: columns[column][i] for column in columns},
        }
        for i, made in enumerate(passes)
    }
    return Arm(name, Identity(model=name, **SAME), tasks)


def rows(a: Arm, *others: Arm) -> dict[str, Any]:
    return {row.metric.name: row for row in compare([a, *others])[0].rows}


def test_tasks_are_paired_and_weigh_the_same() -> None:
    a = arm("a", [[0, 0, 0, 1], [1, 1], [0, 0]])
    b = arm("b", [[1, 1, 1, 1], [1, 1], [1, 0]])
    row = rows(a, b)["pass_rate"]
    assert (row.a, row.b) == (pytest.approx((0.25 + 1 + 0) / 3), pytest.approx((1 + 1 + 0.5) / 3))
    assert row.effect.mean == pytest.approx((0.75 + 0 + 0.5) / 3)
    assert row.effect.p == sign_flip_p([0.75, 0, 0.5])


def test_a_difference_is_shown_only_after_holm() -> None:
    nothing, all_of_it = [[0, 0]] * 7, [[1, 1]] * 7
    shown = rows(arm("a", nothing), arm("b", all_of_it))["pass_rate"]
    assert (shown.effect.p, shown.adjusted_p, shown.verdict) == (2 / 128, 8 / 128, "no difference shown")
    shown = rows(arm("a", [*nothing, [0, 0]]), arm("b", [*all_of_it, [1, 1]]))["pass_rate"]
    assert (shown.adjusted_p, shown.verdict) == (8 / 256, "better")
    shown = rows(arm("a", [*all_of_it, [1, 1]]), arm("b", [*nothing, [0, 0]]))["pass_rate"]
    assert shown.verdict == "worse"
    three = compare([arm("a", [*nothing, [0]]), arm("b", [*all_of_it, [1]]), arm("c", [*nothing, [0]])])
    assert [row.adjusted_p for row in three[0].rows if row.metric.name == "pass_rate"] == [16 / 256]


def test_less_is_better_for_loops() -> None:
    loops: list[list[float | None]] = [[1.0, 1.0]] * 9
    none: list[list[float | None]] = [[0.0, 0.0]] * 9
    passes = [[1, 1]] * 9
    assert rows(arm("a", passes, loop_rate=loops), arm("b", passes, loop_rate=none))["loop_rate"].verdict == "better"


def test_fewer_loops_show_where_every_rollout_has_one() -> None:
    many: list[list[float | None]] = [[3.0, 2.0] for _ in range(8)]
    many.append([4.0, 2.0])
    few: list[list[float | None]] = [[1.0, 1.0]] * 9
    passes = [[1, 1]] * 9
    row = rows(arm("a", passes, loop_detections=many), arm("b", passes, loop_detections=few))["loop_detections"]
    assert row.effect is not None
    assert (row.a, row.b, row.effect.p) == (pytest.approx((8 * 2.5 + 3) / 9), 1, 2 / 2**9)


def test_one_rollout_per_task_gets_wilson() -> None:
    row = rows(arm("a", [[0], [1], [1]]), arm("b", [[1], [1], [1]]))["pass_rate"]
    assert row.a_interval == wilson(2, 3)


def test_pass_at_k_goes_up_to_what_every_task_has() -> None:
    found = rows(arm("a", [[0, 1, 1, 1], [0, 0, 0, 1]]), arm("b", [[1, 1, 1, 1], [0, 0, 1, 1, 0]]))
    assert [name for name in found if name.startswith("pass@")] == ["pass@2", "pass@4"]
    assert found["pass@2"].a == pytest.approx((1 + 0.5) / 2)


def test_steps_of_rollouts_that_both_finished_are_paired_by_seed() -> None:
    passes = [[0, 0, 0]]
    a = arm("a", passes, steps=[[2, 10, 4]], finished_steps=[[2, None, 4]])
    b = arm("b", passes, steps=[[9, 9, 5]], finished_steps=[[None, 9, 5]])
    found = rows(a, b)
    assert found["steps"].effect.mean == pytest.approx(23 / 3 - 16 / 3)
    assert (found["steps, both finished"].a, found["steps, both finished"].b) == (4, 5)
    assert rows(a, arm("c", passes, finished_steps=[[None, 9, None]]))["steps, both finished"].tasks == 0


def test_what_a_reader_must_know_comes_first() -> None:
    a = arm("a", [[0, 0], [1, 1], [0, 0]])
    first = {column: values[:1] for column, values in a.tasks["t/00"].items()}
    b = Arm("b", a.identity.model_copy(update={"model": "b"}), {"t/00": first, "x": first}, spoiled=2)
    (one,) = compare([a, b])
    text = "\n".join(one.warnings)
    assert "2 tasks are only in a and left out: t/01, t/02" in text
    assert "2 rollouts of b were spoiled" in text
    assert "rollouts of each task differ: 2 of a, 1 of b" in text
    assert "1 task(s) are too few" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suite_sha256": "2" * 64}, "suite: tiny 222222222222, not tiny 111111111111"),
        ({"settings": {"window": "last_k:4"}, "settings_hash": "x"}, "window: last_k:4, not full"),
        ({"settings": {"window": "full", "test_policy": "final"}}, "test_policy: final, not unknown"),
        ({"settings_hash": "other"}, "system prompt or tools"),
    ],
)
def test_other_conditions_are_refused_or_said(change: dict[str, Any], words: str) -> None:
    a, b = arm("a", [[0]]), arm("b", [[1]])
    b = Arm("b", b.identity.model_copy(update=change), b.tasks)
    with pytest.raises(UsageError, match="b was not made as a was") as refused:
        compare([a, b])
    assert words in str(refused.value)
    assert words in compare([a, b], anyway=True)[0].warnings[0]


def test_a_set_of_rollouts_is_not_compared_with_itself(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "aaa1", "model:good"]) == 4
    assert "both have the rollouts of good in aaa1" in capsys.readouterr().err


def test_more_arms_need_more_tasks() -> None:
    a, b, c = (arm(name, [[0]] * 8) for name in "abc")
    assert not compare([a, b])[0].warnings
    assert "too few to show a difference in one of 8 metrics" in compare([a, b, c])[0].warnings[0]


def test_what_could_not_be_shown_is_not_called_detectable() -> None:
    few, enough = (rows(arm("a", [[0]] * n), arm("b", [[1]] * (n - 1) + [[0]]))["pass_rate"] for n in (7, 8))
    assert (few.effect.detectable, enough.effect.detectable is None) == (None, False)


def test_nothing_in_common_is_refused() -> None:
    a = arm("a", [[0]])
    with pytest.raises(UsageError, match="no task in common"):
        compare([a, Arm("b", a.identity, {"other": a.tasks["t/00"]})])
    with pytest.raises(UsageError, match="two or more"):
        compare([a])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of one model, a tagged run of two, and a run under other settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    path = tmp_path / ".repoagent/store.duckdb"
    good, poor = [read(), write(), final()], [bad("no_json"), final()]
    recorded = []

    def add(run: str, model: str, steps: Any, tag: str | None = None, hour: int = 9, **facts: Any) -> None:
        facts = {"settings_hash": "0123456789abcdef", **facts}
        for n in range(3):
            made = events(
                steps, run_id=run, model=model, task=f"quixbugs/t{n}",
                run_started_at=f"2026-11-20T{hour:02}:00:00+00:00", **facts,
            )  # fmt: skip
            made[0]["run"]["settings"]["tag"] = tag
            recorded.append(fold(made, f"{run}-{model}-{n}.jsonl"))

    add("aaa1", "good", good, success=True)
    add("aaa2", "good", good, success=True, hour=10)
    add("bbb1", "good", good, "nightly", 11, success=True)
    add("bbb1", "poor", poor, "nightly", 11, success=False)
    add("ccc1", "poor", poor, None, 8, success=False, settings_hash="other")
    StoreWriter(path).write(recorded)
    return path


def test_references(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "nightly/poor", "aaa1", "model:good", "--format=json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["comparisons"]
    assert first["b"]["identity"]["runs"] == ["aaa1"]
    assert (first["a"]["identity"]["model"], first["a"]["identity"]["runs"]) == ("poor", ["bbb1"])
    assert second["b"]["identity"]["runs"] == ["bbb1", "aaa2", "aaa1"]
    assert second["b"]["rollouts"] == {f"quixbugs/t{n}": 3 for n in range(3)}
    strict = first["metrics"]["strict_valid"]
    assert (strict["a"], strict["b"], strict["effect"]["mean"], strict["effect"]["p"]) == (0.5, 1, 0.5, 0.25)
    assert first["metrics"]["pass_rate"]["effect"]["mean"] == 1
    assert first["metrics"]["steps, both finished"]["effect"]["mean"] == 1
    assert first["metrics"]["cost_usd"]["effect"] is None


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("zzz", "no run with the id or tag 'zzz'"),
        ("aaa", "several runs begin with 'aaa'"),
        ("nightly", "name nightly/good or nightly/poor"),
        ("nightly/other", "name nightly/good or nightly/poor"),
        ("model:other", "no rollout of the model other; it has good, poor"),
        ("ccc", "settings_hash other, not 0123456789abcdef"),
        ("missing.json", "missing.json: cannot be read"),
    ],
)
def test_a_wrong_reference_is_one_sentence(
    store: Path, capsys: pytest.CaptureFixture[str], reference: str, words: str
) -> None:
    assert main(["compare", "aaa1", reference]) == 4
    captured = capsys.readouterr()
    assert words in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_baseline_file(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "save", "nightly/poor", "poor"]) == 0
    capsys.readouterr()
    assert main(["compare", "eval/baselines/poor.json", "last/good", "--format=json"]) == 0
    (from_file,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert main(["compare", "bbb1/poor", "bbb1/good", "--format=json"]) == 0
    (from_store,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert from_file["a"]["name"] == "poor.json"
    assert from_file["metrics"]["pass_rate"]["effect"]["mean"] == 1
    assert from_file["metrics"] == from_store["metrics"]


def test_markdown_is_one_table_and_text_warns(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "bbb1/good", "ccc1", "--anyway", "--format=markdown"]) == 0
    out = capsys.readouterr().out
    widths = {line.count(" | ") for line in out.splitlines() if line.startswith("| ")}
    assert widths == {9}
    assert "NOT THE SAME CONDITIONS" in out
    assert main(["compare", "bbb1/good", "ccc1", "--anyway"]) == 0
    assert "WARNING: NOT THE SAME CONDITIONS: system prompt" in capsys.readouterr().out


def test_live(pytester: pytest.Pytester) -> None:
    eval_kit.make_project(pytester)
    eval_kit.run(pytester, "--model=fake:x", "--tag=before")
    done = eval_kit.run(pytester, "--model=fake:nonsense@alpha", "--compare-to=before", "-n2")
    done.stdout.fnmatch_lines(
        ["*compared with before*", "A: before = fake:x*", "tiny: 4 task(s) in both", "strict_valid *"]
    )
    refused = eval_kit.run(pytester, "--model=fake:x", "--compare-to=before", "--max-iters=3")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*max_iters: 3, not 20*"])
    assert len(eval_kit.stored(pytester, "FROM runs")) == 2
