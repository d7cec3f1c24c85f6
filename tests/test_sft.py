from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import rollout_kit as kit

from pytest_repoagent.cli import main
from pytest_repoagent.protocol import render
from pytest_repoagent.rollout import Rollout

Row = dict[str, Any]


def build(tmp_path: Path, *options: str, store: Path | None = None) -> Path:
    """Build a dataset without validation rows from the test's store, and return its folder."""
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    arguments = ["--db", str(store or tmp_path / "s"), "--out", str(out), "--val-fraction=0", *options]
    assert main(["build", "sft", *arguments]) == 0
    return out


def train(tmp_path: Path, *options: str) -> list[Row]:
    return kit.rows(build(tmp_path, *options) / "train.jsonl")


def targets(tmp_path: Path, *options: str) -> list[str]:
    return [row["messages"][-1]["content"] for row in train(tmp_path, *options)]


def dropped(folder: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads((folder / "manifest.json").read_text())["dropped"]
    return counts


def test_a_row_is_the_recorded_prompt_and_the_action_in_canonical_spelling(tmp_path: Path) -> None:
    spaced = json.dumps(json.loads(kit.read()), indent=1)
    swapped = '{"name": "list_files", "args": {"max_files": 200, "rel_dir": "."}, "type": "tool_call"}'
    recorded = kit.rollout([swapped, spaced, kit.write("caf\u00e9 = 1\n"), kit.FINAL])
    kit.store(tmp_path / "s", recorded)
    rows = train(tmp_path)
    assert [row["messages"][-1]["content"] for row in rows] == [
        kit.LIST,
        kit.read(),
        kit.write("caf\u00e9 = 1\n"),
        kit.FINAL,
    ]
    for row, step in zip(rows, recorded.trajectory, strict=True):
        prompt = [{"role": m["role"], "content": m["content"]} for m in row["messages"][:-1]]
        assert render.prompt_sha256(prompt) == step.prompt_sha256  # type: ignore[arg-type]
        assert [m["weight"] for m in row["messages"]] == [0] * len(prompt) + [1]
        assert row["weight"] == 1.0
    assert rows[1]["messages"][2]["content"] == swapped


BAD = '{"type":"tool_call","name":"write_file","args":{}}'
FENCED = f"```json\n{kit.read()}\n```"


@pytest.mark.parametrize(
    ("recorded", "option", "reason"),
    [
        ([kit.rollout(success=False)], "--no-require-success", "rollout without success"),
        ([kit.rollout(success=None)], "--no-require-success", "rollout without success"),
        ([kit.rollout([kit.read()], refused={0: "not_found"})], "--no-require-valid-tool-ok", "refused by the tool"),
        ([kit.rollout([kit.read()], flags={0: ["near_repeat"]})], "--loops", "loop"),
        ([kit.rollout([kit.write()], flags={0: ["no_op_write"]})], "--unchanged-writes", "write that changes nothing"),
        ([kit.rollout([kit.write()], flags={0: ["content_elided"]})], "--bad-content", "elided or broken content"),
        (
            [kit.rollout([kit.write()], flags={0: ["content_syntax_error"]})],
            "--bad-content",
            "elided or broken content",
        ),
        ([kit.rollout(), kit.rollout(index=1)], "--no-dedup", "duplicate"),
        ([kit.rollout([kit.read(f"{i}")], index=i) for i in range(5)], "--max-per-slot=0", "over --max-per-slot"),
    ],
)
def test_what_is_left_out_by_default(tmp_path: Path, recorded: list[Rollout], option: str, reason: str) -> None:
    kit.store(tmp_path / "s", kit.rollout([kit.LIST], task="own/other"), *recorded)
    without, with_them = build(tmp_path), build(tmp_path, option)
    assert set(dropped(without)) == {reason}
    assert not dropped(with_them)
    more = len(kit.rows(with_them / "train.jsonl")) - len(kit.rows(without / "train.jsonl"))
    assert more == dropped(without)[reason]


@pytest.mark.parametrize(
    ("recorded", "options", "reason"),
    [
        (kit.rollout([BAD, kit.read()]), ["--no-recovery"], "recovery"),
        (kit.rollout([kit.write(), kit.FINAL]), ["--no-include-final"], "final"),
        (kit.rollout([kit.LIST, kit.read(), kit.write()]), ["--max-per-task=2"], "over --max-per-task"),
        (kit.rollout(model="builtin:other"), ["--model=builtin:teacher"], "other model"),
        (kit.rollout(run="run2"), ["--run=run1"], "other run"),
        (kit.rollout([kit.read(), kit.write()]), ["--where=tool <> 'write_file' OR model = 'x'"], "not in --where"),
    ],
)
def test_what_is_left_out_on_demand(tmp_path: Path, recorded: Rollout, options: list[str], reason: str) -> None:
    kit.store(tmp_path / "s", kit.rollout([kit.LIST], task="own/other"), recorded)
    without, with_them = build(tmp_path, *options), build(tmp_path)
    assert reason in dropped(without)
    assert reason not in dropped(with_them)
    more = len(kit.rows(with_them / "train.jsonl")) - len(kit.rows(without / "train.jsonl"))
    assert more == dropped(without)[reason]


def test_what_is_never_used(tmp_path: Path) -> None:
    kit.store(
        tmp_path / "s",
        kit.rollout(["prose", BAD, FENCED]),
        kit.rollout([kit.FINAL], task="own/quit", flags={0: ["premature_final"]}),
        kit.rollout(task="own/broken", outcome="infrastructure_error", cause="infrastructure", success=None),
        kit.rollout(task="own/unsplit", split=None),
        kit.rollout(task="own/paid", outcome="provider_error", cause="provider", success=None),
    )
    folder = build(tmp_path, "--no-require-success", "--no-require-strict")
    assert dropped(folder) == {
        "rollout spoiled by this machine or its user": 4,
        "task of no known suite": 4,
        "no valid action": 3,
        "final before any write": 1,
    }
    assert len(kit.rows(folder / "train.jsonl")) == 4


@pytest.mark.parametrize("option", ["--require-strict", "--no-require-strict"])
def test_text_that_is_no_unicode_is_no_target(tmp_path: Path, option: str) -> None:
    escaped, plain = (kit.write("x = '?'\n").replace("?", half) for half in ("\\ud83d", "\ud83d"))
    kit.store(tmp_path / "s", kit.rollout([escaped, kit.LIST]), kit.rollout([plain, kit.read()], task="own/other"))
    folder = build(tmp_path, option)
    assert dropped(folder) == {"no valid action": 2, "prompt not reproduced": 1}
    assert [row["messages"][-1]["content"] for row in kit.rows(folder / "train.jsonl")] == [kit.LIST]


def test_caps_keep_the_shortest_rollouts(tmp_path: Path) -> None:
    long = kit.rollout([kit.read("a"), *[kit.read(f"a{i}") for i in range(4)]], index=0)
    short = kit.rollout([kit.read("b"), kit.write()], index=1)
    kit.store(tmp_path / "s", long, short)
    assert targets(tmp_path, "--max-per-slot=1")[:2] == [kit.read("a0"), kit.read("a1")]
    assert targets(tmp_path, "--max-per-task=2") == [kit.read("b"), kit.write()]


def test_of_equal_examples_one_of_a_success_is_kept(tmp_path: Path) -> None:
    failed, passed = (kit.rollout([kit.read()], index=i, success=bool(i)) for i in range(2))
    kit.store(tmp_path / "s", failed, passed, kit.rollout([kit.read()], index=2))
    folder = build(tmp_path, "--no-require-success", "--duplicate-weight=count")
    assert [row["weight"] for row in kit.rows(folder / "train.jsonl")] == [3.0]
    assert [row["weight"] for row in train(tmp_path, "--no-require-success", "--duplicate-weight=sqrt")] == [1.732051]
    assert dropped(folder) == {"duplicate": 2}


def test_failed_rollouts_weigh_less(tmp_path: Path) -> None:
    failed = kit.rollout([kit.read()], task="own/failed", success=False)
    kit.store(tmp_path / "s", kit.rollout([kit.read()]), failed)
    assert [row["weight"] for row in train(tmp_path, "--no-require-success")] == [1.0, 0.3]
    assert [row["weight"] for row in train(tmp_path, "--no-require-success", "--fail-weight=0")] == [1.0, 0.0]


@pytest.mark.parametrize(("balance", "weights"), [("task", [2 / 3] * 3 + [2.0]), ("tool", [1.0, 4 / 3, 4 / 3, 4 / 3])])
def test_balance_makes_every_part_weigh_the_same(tmp_path: Path, balance: str, weights: list[float]) -> None:
    one = kit.rollout([kit.LIST, kit.read("a"), kit.read("b")])
    kit.store(tmp_path / "s", one, kit.rollout([kit.LIST if balance == "tool" else kit.read()], task="own/other"))
    found = [row["weight"] for row in train(tmp_path, f"--balance={balance}")]
    if balance == "tool":
        assert found == [1.0, 1.0, 1.0, 1.0]
    else:
        assert found == pytest.approx(weights, abs=1e-6)
    assert sum(found) == pytest.approx(len(found))


def test_another_window_and_shorter_results(tmp_path: Path) -> None:
    results = {0: "a" * 50, 1: "b" * 50, 2: "ok"}
    kit.store(tmp_path / "s", kit.rollout([kit.LIST, kit.read(), kit.write(), kit.FINAL], results=results))
    (*_, row) = train(tmp_path, "--window=last_k:1")
    assert [m["content"] for m in row["messages"] if m["role"] == "user"][1:] == [
        render.ELIDED,
        render.ELIDED,
        "[tool_result]\nok",
    ]
    (*_, row) = train(tmp_path, "--truncate-results=30")
    user = [m["content"] for m in row["messages"] if m["role"] == "user"]
    assert user[1] == f"[tool_result]\n{'a' * 30}\n[truncated: the first 30 characters]"
    assert user[3] == "[tool_result]\nok"


@pytest.mark.parametrize(
    "after",
    [
        render.loop_warning("exact_repeat", True),
        render.test_report(True, "3 passed"),
        f"{render.test_report(False, '1 failed' + chr(10) + 'assert 1 == 2')}\n{render.REFLECTION}",
    ],
)
def test_a_shorter_result_keeps_what_is_said_after_it(tmp_path: Path, after: str) -> None:
    results = {0: f"{'a' * 50}\n{after}", 1: f"{'b' * 20}\n{after}"}
    kit.store(tmp_path / "s", kit.rollout([kit.LIST, kit.read(), kit.FINAL], results=results))
    (*_, row) = train(tmp_path, "--truncate-results=20")
    user = [m["content"] for m in row["messages"] if m["role"] == "user"]
    assert user[1:] == [
        f"[tool_result]\n{'a' * 20}\n[truncated: the first 20 characters]\n{after}",
        f"[tool_result]\n{'b' * 20}\n{after}",
    ]


def test_a_trajectory_is_a_rollout_with_its_other_turns_masked(tmp_path: Path) -> None:
    spaced = kit.read().replace(",", ", ")
    recorded = kit.rollout([kit.LIST, "prose", spaced, kit.write(), kit.FINAL])
    again = kit.rollout([kit.LIST, kit.write("x = 1\n")], index=1)
    kit.store(tmp_path / "s", recorded, again)
    first, second = train(tmp_path, "--unit=trajectory")
    said = [(m["content"], m["weight"]) for m in first["messages"] if m["role"] == "assistant"]
    assert said == [(kit.LIST, 1), ("prose", 0), (kit.read(), 1), (kit.write(), 1), (kit.FINAL, 1)]
    said = [(m["content"], m["weight"]) for m in second["messages"] if m["role"] == "assistant"]
    assert said == [(kit.LIST, 0), (kit.write("x = 1\n"), 1)]
    assert all(m["weight"] == 0 for row in (first, second) for m in row["messages"] if m["role"] != "assistant")


def test_a_trajectory_needs_a_whole_conversation(tmp_path: Path) -> None:
    kit.store(tmp_path / "s", kit.rollout(task="own/other"), kit.rollout(window="last_k:2"))
    folder = build(tmp_path, "--unit=trajectory")
    assert dropped(folder) == {"in a rollout that is no whole conversation": 4}
    assert len(kit.rows(folder / "train.jsonl")) == 1
    assert len(train(tmp_path, "--unit=trajectory", "--window=full")) == 2


def test_what_both_units_cost_is_said(tmp_path: Path) -> None:
    kit.store(tmp_path / "s", kit.rollout())
    steps, packed = (build(tmp_path, f"--unit={unit}") for unit in ("step", "trajectory"))
    sums = [
        json.loads((f / "manifest.json").read_text())["statistics"]["train.jsonl"]["tokens"] for f in (steps, packed)
    ]
    for folder, unit in ((steps, "steps"), (packed, "trajectories")):
        text = (folder / "README.md").read_text()
        assert f"As steps this is {sums[0]['sum']:,} tokens, packed as trajectories {sums[1]['sum']:,}" in text
        assert f"These rows are {unit}." in text
    assert sums[0]["learned"] == sums[1]["learned"]


def test_recoveries_are_tagged_with_what_they_recover_from(tmp_path: Path) -> None:
    kit.store(tmp_path / "s", kit.rollout([BAD, kit.read(), kit.LIST, kit.write()], refused={2: "not_found"}))
    manifest = json.loads((build(tmp_path, "--no-require-valid-tool-ok") / "manifest.json").read_text())
    assert manifest["statistics"]["train.jsonl"]["tags"] == {
        "success:yes": 3,
        "recovery:missing_required": 1,
        "recovery:not_found": 1,
    }


def test_repaired_actions_that_were_executed_can_be_learned(tmp_path: Path) -> None:
    events = list(kit.events([FENCED, kit.write()]))
    action = next(event for event in events if event["kind"] == "llm_action")
    action["action"] = json.loads(kit.read())
    events.insert(3, {"kind": "tool_result", "step": 0, "ok": True, "code": None, "content": "x", "duration_s": 0.0})
    from pytest_repoagent.fold import fold

    kit.store(tmp_path / "s", fold(events, "a"))
    assert targets(tmp_path) == [kit.write()]
    assert targets(tmp_path, "--no-require-strict") == [kit.read(), kit.write()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window=half"], "--window: window is 'half'"),
        (["--unit=trajectory", "--window=last_k:2"], "--unit trajectory needs whole conversations"),
        (["--unit=trajectory", "--format=trl"], "trl has no masks for the turns of a trajectory"),
        (["--where=nonsense = 1"], "--where is no condition on steps s and rollouts r of the store: Binder Error"),
        (
            ["--where=task_id::INT = 1"],
            "--where is no condition on steps s and rollouts r of the store: Conversion Error",
        ),
        (["--where="], "--where is no condition"),
        (["--val-fraction=2"], "--val-fraction is '2'"),
        (["--val-fraction=0.5"], "all examples are of one family"),
        (["--max-per-task=-1"], "argument --max-per-task"),
        (["--tokenizer=nowhere"], "--tokenizer"),
        (["--model=nobody"], "--model=nobody: the store has only builtin:teacher"),
        (["--run=run9"], "--run=run9: the store has only run1"),
        (["--where=false"], "no training row is left of the 4 steps in"),
        (["--suite=nowhere"], "there is no suite 'nowhere'"),
        (["--db=nowhere"], "there is no store at nowhere"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    kit.store(tmp_path / "s", kit.rollout())
    arguments = ["--db", str(tmp_path / "s"), "--out", str(tmp_path / "made/out"), "--val-fraction=0", *options]
    assert main(["build", "sft", *arguments]) == 4
    error = capsys.readouterr().err
    assert error.startswith(f"repoagent: {message}")
    assert error.count("\n") == 1
    assert not list((tmp_path / "made").iterdir() if (tmp_path / "made").exists() else [])


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e999", "much"])
@pytest.mark.parametrize(
    "command",
    [
        "build sft --out x --usd-per-million",
        "build sft --out x --fail-weight",
        "build sft --out x --val-fraction",
        "build preferences --out x --min-margin",
        "build preferences --out x --max-length-bias",
        "build branch --student x --temperature",
        "build branch --student x --budget-usd",
    ],
)
def test_an_amount_is_a_finite_number_from_0(command: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    *words, option = command.split()
    assert main([*words, f"{option}={value}"]) == 4
    error = capsys.readouterr().err
    assert option in error
    assert repr(value) in error
