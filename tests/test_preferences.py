from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import LoopbackServer
from pairs_kit import fill, look, read, suite
from rollout_kit import OTHER_REPLY

from builders.folder import read_manifest
from builders.formats import FORMATS
from builders.history import parse_reply
from builders.pairs.mixing import Good, mixed, unbiased
from builders.validate import validate
from pytest_repoagent.cli import main
from pytest_repoagent.errors import UsageError
from pytest_repoagent.protocol.actions import canonical
from pytest_repoagent.protocol.render import prompt_sha256
from pytest_repoagent.store.branches import Branch, record
from pytest_repoagent.store.reader import query

TEACHERS = ("--teacher", "oracle", "--teacher", "repair")
STUDENT = "novice:oracle@0.6"
MODELS = ("oracle", "repair", "novice:oracle@0.5", "novice:repair@0.5")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Teachers and novices at four tasks in two phrasings, held-out rollouts besides, and a student's branches."""
    store = tmp_path_factory.mktemp("filled") / "store.duckdb"
    fill(store, MODELS, rollouts=2, paraphrase=4, max_iters=12)
    fill(store, ["oracle", STUDENT], suite("heldout"), seed=50)
    branch = ["build", "branch", "--db", str(store), "--student", STUDENT, "--samples", "3", *TEACHERS]
    assert main(branch) == 0
    return store


def build(store: Path, out: Path, *options: str) -> Path:
    teachers = () if {"--mix=rollouts", "--mix=student_best_worst"} & {*options} else TEACHERS
    assert main(["build", "preferences", "--db", str(store), "--out", str(out), *teachers, *options]) == 0
    return out


def pairs(folder: Path) -> list[dict[str, Any]]:
    text = "".join((folder / name).read_text() for name in ("train.jsonl", "val.jsonl") if (folder / name).exists())
    return [json.loads(line) for line in text.splitlines()]


def sides(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["preferred_output"][0]["content"], row["non_preferred_output"][0]["content"]


def lineage(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT {columns} FROM '{folder / 'lineage.parquet'}' ORDER BY file, line")
        return rows.fetchall()


def test_one_command_makes_pairs_of_every_construction(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--like-model", "novice:repair@0.5", "--corruptions", "3")
    made = Counter(name for (name,) in lineage(folder, "construction"))
    assert set(made) == {"same_state", "student_best_worst", "corruption", "rollouts:action"}
    rows = pairs(folder)
    assert len(rows) == made.total() >= 150
    for row in rows:
        good, bad = sides(row)
        assert parse_reply(good).action is not None
        assert good != bad
    codes = [[tag for tag in tags if tag.startswith("code:")] for (tags,) in lineage(folder, "tags")]
    assert all(len(code) == 1 for code in codes)
    assert len({code for (code,) in codes}) > 12
    manifest, card = read_manifest(folder), (folder / "README.md").read_text()
    for name, facts in manifest["pairs"].items():
        assert facts["made"] == facts["kept"] + sum(facts["dropped"].values())
        assert facts["lengths"]["kept"]["longer"] <= 0.6
        assert f"{name}: the preferred side is longer in {facts['lengths']['kept']['longer']:.0%}" in card
        assert facts["kept"] == sum(n for construction, n in made.items() if construction.partition(":")[0] == name)
    assert query(filled, "SELECT DISTINCT kind FROM datasets")[1] == [("preference",)]


def test_nothing_of_held_out_tasks_is_in_a_pair(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--teacher", STUDENT, "--no-require-success")
    tasks = {task.task_id for task in suite().tasks}
    assert {task_id for (task_id,) in lineage(folder, "task_id")} <= tasks
    assert read_manifest(folder)["dropped"]["held-out task"] > 0


def test_states_are_recorded_prompts(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out")
    files = lineage(folder, "file, line, state_hash, rollout_id, step")
    for file, line, state_hash, rollout_id, step in files[:: len(files) // 20]:
        row = json.loads((folder / f"{file}.jsonl").read_text().splitlines()[line - 1])
        assert prompt_sha256(row["input"]["messages"]) == state_hash
        recorded = f"SELECT prompt_sha256 FROM steps WHERE rollout_id = '{rollout_id}' AND step = {step}"
        assert query(filled, recorded)[1] == [(state_hash,)]


def test_the_same_store_and_flags_give_the_same_bytes(filled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    shutil.copy(filled, copy)
    options = ("--mix=same_state=0.3,corruption=0.4,rollouts=0.3", "--seed=5")
    folders = [build(store, tmp_path / name, *options) for store, name in ((filled, "a"), (filled, "b"), (copy, "c"))]
    for name in ("train.jsonl", "val.jsonl", "lineage.parquet"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1
    assert (folders[0] / "manifest.json").read_bytes() == (folders[1] / "manifest.json").read_bytes()
    other = build(filled, tmp_path / "d", options[0], "--seed=6")
    assert (other / "train.jsonl").read_bytes() != (folders[0] / "train.jsonl").read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_passes_its_validator(filled: Path, tmp_path: Path, format: Any) -> None:
    folder = build(filled, tmp_path / "out", "--format", format, "--max-pairs", "60")
    kind = "parquet" if format == "parquet" else "jsonl"
    reports = [validate(folder / f"{side}.{kind}", format, "preference") for side in ("train", "val")]
    assert [report.total for report in reports] == [0, 0]
    assert sum(report.rows for report in reports) == 60


def test_validation_pairs_are_of_other_families(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--val-fraction", "0.3")
    families = {file: {f for x, f in lineage(folder, "file, family") if x == file} for file in ("train", "val")}
    assert families["train"]
    assert families["val"]
    assert families["train"].isdisjoint(families["val"])


def test_shares_are_as_asked(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--mix=same_state=0.5,corruption=0.4,rollouts=0.1", "--max-pairs=50")
    made = Counter(name for (name,) in lineage(folder, "construction"))
    assert made == {"same_state": 25, "corruption": 20, "rollouts:action": 5}
    tasks = Counter(lineage(folder, "construction, task_id"))
    assert max(tasks.values()) - min(n for (name, _), n in tasks.items() if name == "corruption") <= 5


def test_length_bias_is_bounded_in_every_construction(filled: Path, tmp_path: Path) -> None:
    for bound in (0.5, 0.7, 1.0):
        folder = build(filled, tmp_path / f"out{bound}", "--max-length-bias", str(bound), "--val-fraction=0")
        by_name: dict[str, list[int]] = {}
        for (name,), row in zip(lineage(folder, "construction"), pairs(folder), strict=True):
            good, bad = sides(row)
            by_name.setdefault(name, []).append(len(good) - len(bad))
        for deltas in by_name.values():
            longer, shorter = (sum(sign * delta > 0 for delta in deltas) for sign in (1, -1))
            assert max(longer, shorter) <= bound * len(deltas)
        reasons = {reason for facts in read_manifest(folder)["pairs"].values() for reason in facts["dropped"]}
        assert any(reason.startswith("one-sided length") for reason in reasons) == (bound == 0.5)


def test_margins_are_at_least_what_was_asked(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--min-margin", "6")
    assert min(margin for (margin,) in lineage(folder, "margin")) >= 6
    assert any("margin too small" in facts["dropped"] for facts in read_manifest(folder)["pairs"].values())


def test_corruptions_are_like_the_models_mistakes(filled: Path, tmp_path: Path) -> None:
    like = "novice:repair@0.5"
    options = ("--mix=corruption", "--corruptions=9", "--max-length-bias=1", "--like-model", like)
    folder = build(filled, tmp_path / "out", *options)
    wanted = Counter(code for (code,) in query(filled, _MISTAKES.format(like))[1])
    got = Counter(tags[0].partition(":")[2] for (tags,) in lineage(folder, "tags"))
    assert set(got) <= set(wanted)
    common = {code for code, _ in wanted.most_common(8)}
    assert sum(got[code] for code in common) > got.total() / 2
    assert f"mistakes of {like}" in (folder / "README.md").read_text()


_MISTAKES = """
    SELECT coalesce(error_family, tool_code, flags[1]) AS code
    FROM steps JOIN rollouts USING (rollout_id)
    WHERE model = '{}' AND split = 'train' AND code IS NOT NULL
"""


@pytest.mark.parametrize("output", ["action", "last_write", "patch", "tail"])
def test_pairs_of_rollouts(filled: Path, tmp_path: Path, output: str) -> None:
    options = (
        "--mix=rollouts",
        "--rollout-output",
        output,
        "--max-length-bias=1",
        "--tail-turns=2",
        "--val-fraction=0",
    )
    folder = build(filled, tmp_path / "out", *options)
    rows = pairs(folder)
    assert rows
    assert {name for (name,) in lineage(folder, "construction")} == {f"rollouts:{output}"}
    recorded = "SELECT rollout_id, task_id, success, diff FROM rollouts"
    facts = {rollout_id: rest for rollout_id, *rest in query(filled, recorded)[1]}
    found = lineage(folder, "rollout_id, tags, state_hash")
    for row, (rollout_id, tags, state_hash) in zip(rows, found, strict=True):
        good, bad = sides(row)
        task_id, success, diff = facts[rollout_id]
        assert success
        failed = [d for t, s, d in facts.values() if t == task_id and not s]
        match output:
            case "patch":
                assert good == diff
                assert bad in failed
                assert good.startswith("--- a/")
            case "last_write":
                assert json.loads(good)["name"] == json.loads(bad)["name"] == "write_file"
                done = f"SELECT action FROM steps WHERE rollout_id = '{rollout_id}' AND prompt_sha256 = '{state_hash}'"
                assert query(filled, done)[1] == [(good,)]
                assert "contrast:pass and fail" in tags
            case "tail":
                tail = json.loads(good)
                assert tail["type"] == "tail"
                assert [m["role"] for m in tail["messages"]].count("assistant") == 2
                last = "SELECT arg_max(coalesce(action::VARCHAR, raw), step) FROM steps WHERE rollout_id = "
                assert query(filled, f"{last}'{rollout_id}'")[1] == [(tail["messages"][-1]["content"],)]
            case "action":
                said = "SELECT DISTINCT coalesce(action::VARCHAR, raw) FROM steps WHERE prompt_sha256 = "
                at = {text for (text,) in query(filled, f"{said}'{state_hash}'")[1]}
                assert {good, bad} <= at


def test_tasks_without_contrast_are_named(tmp_path: Path) -> None:
    store = tmp_path / "store.duckdb"
    fill(store, ["oracle"], rollouts=2)
    names = [task.task_id for task in suite().tasks]
    fill(store, ["novice:oracle@0.9"], suite(names=[names[0].partition("/")[2]]), rollouts=3, max_iters=30)
    folder = tmp_path / "out"
    options = ["--db", str(store), "--out", str(folder), "--mix=rollouts", "--val-fraction=0", "--max-length-bias=1"]
    assert main(["build", "preferences", *options]) == 0
    card = (folder / "README.md").read_text()
    assert f"No contrast, because all their rollouts ended equally well: {', '.join(names[1:])}." in card


def test_best_and_worst_are_of_one_student_at_one_state(filled: Path, tmp_path: Path) -> None:
    folder = build(filled, tmp_path / "out", "--mix=student_best_worst", "--max-length-bias=1", "--val-fraction=0")
    found = lineage(folder, "state_hash, tags")
    assert len({state_hash for state_hash, _ in found}) == len(found)
    for row, (state_hash, tags) in zip(pairs(folder), found, strict=True):
        raws = {raw for (raw,) in query(filled, f"SELECT raw FROM branches WHERE state_hash = '{state_hash}'")[1]}
        assert set(sides(row)) <= raws
        assert f"student:{STUDENT}" in tags


def test_a_way_out_is_preferred_to_the_repeat_of_a_refused_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such states are in a student's own rollouts alone; what it did there is no example, and need not be."""
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-nobody")
    store, student = tmp_path / "store.duckdb", "openai:loopback/model"
    guess, way_out = canonical(read("nowhere.py")), canonical(look())
    with LoopbackServer(lambda body: guess) as server:
        fill(store, [student], base_url=server.url, max_iters=3)
        server.respond = lambda body: way_out if body["seed"] % 2 else guess
        branch = ["build", "branch", "--db", str(store), "--student", student, "--own", "--samples=9"]
        assert main([*branch, "--base-url", server.url]) == 0
    folder = build(store, tmp_path / "out", "--mix=student_best_worst", "--max-length-bias=1", "--val-fraction=0")
    assert {sides(row) for row in pairs(folder)} == {(way_out, guess)}
    recorded = "SELECT step, s.tool_code, s.flags FROM steps s JOIN rollouts USING (rollout_id) WHERE prompt_sha256"
    for state_hash, tags in lineage(folder, "state_hash, tags"):
        ((step, refused, flags),) = query(store, f"{recorded} = '{state_hash}'")[1]
        assert (step > 0, refused, flags) == (True, "not_found", ["exact_repeat"])
        assert tags[0] == "code:exact_repeat"


def test_named_teachers_bound_where_a_students_replies_are_compared(filled: Path, tmp_path: Path) -> None:
    both = build(filled, tmp_path / "both", "--mix=student_best_worst", "--max-length-bias=1")
    one = build(filled, tmp_path / "one", "--mix=student_best_worst", "--max-length-bias=1", "--teacher=repair")
    of = "SELECT count(*) FROM rollouts WHERE model = 'repair' AND rollout_id = "
    assert all(query(filled, f"{of}'{rollout_id}'")[1] == [(1,)] for (rollout_id,) in lineage(one, "rollout_id"))
    assert len(pairs(one)) < len(pairs(both))


def _writes(store: Path, student: str, endings: Sequence[str], teacher: str = "oracle") -> None:
    """Have a student write what a teacher wrote, with these endings, a sample each."""
    rows = query(
        store,
        "SELECT prompt_sha256, rollout_id, step, action FROM steps JOIN rollouts USING (rollout_id) "
        f"WHERE model = '{teacher}' AND split = 'train' AND tool = 'write_file'",
    )[1]
    said = []
    for state_hash, rollout_id, step, action in rows:
        call = json.loads(action)
        content = call["args"]["content"]
        for sample, ending in enumerate(endings):
            call["args"]["content"] = f"{content}\n{ending}\n"
            raw = json.dumps(call, separators=(",", ":"))
            said.append(
                Branch(state_hash, student, 0.7, 2048, sample, 0, rollout_id, step, datetime.min, 0.0, raw, "stop")
            )
    record(store, said)


def test_verification_runs_the_students_writes(filled: Path, tmp_path: Path) -> None:
    """The rubric sees no difference between two writes that compile; the tests do."""
    store = tmp_path / "store.duckdb"
    shutil.copy(filled, store)
    _writes(store, "openai:writer", ["raise ValueError", "# done"])
    options = ("--mix=student_best_worst", "--student=openai:writer", "--max-length-bias=1", "--val-fraction=0")
    assert main(["build", "preferences", "--db", str(store), "--out", str(tmp_path / "no"), *options]) == 4
    folder = build(store, tmp_path / "out", *options, "--verify")
    assert len(pairs(folder)) >= len(suite().tasks)
    for row, (margin,) in zip(pairs(folder), lineage(folder, "margin"), strict=True):
        good, bad = sides(row)
        assert "# done" in good
        assert "raise ValueError" in bad
        assert margin == 7


def test_a_write_that_was_not_tested_is_no_worse_than_one_that_was(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store.duckdb"
    shutil.copy(filled, store)
    _writes(store, "openai:writer", ["raise ValueError"])
    options = ("--mix=same_state", "--student=openai:writer", "--max-length-bias=1", "--val-fraction=0")
    assert main(["build", "preferences", "--db", str(store), "--out", str(tmp_path / "no"), *TEACHERS, *options]) == 4
    assert "margin too small" in capsys.readouterr().err
    folder = build(store, tmp_path / "out", *options, "--verify")
    assert {margin for (margin,) in lineage(folder, "margin")} == {7}


def test_verification_drops_pairs_that_both_fail(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store.duckdb"
    shutil.copy(filled, store)
    _writes(store, "openai:writer", ["raise ValueError"], "repair")
    failed = "EXISTS (FROM test_runs t WHERE t.rollout_id = s.rollout_id AND t.step = s.step AND NOT t.passed)"
    where = f"--where=s.tool = 'write_file' AND {failed}"
    options = ("--mix=same_state", "--student=openai:writer", "--no-require-success", where)
    main(["build", "preferences", "--db", str(store), "--out", str(tmp_path / "out"), *options, "--verify"])
    assert "both fail their tests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--mix=nonsense"], "'nonsense' is wrong; write NAME=SHARE"),
        (["--mix=corruption=0"], "'corruption=0' is wrong"),
        (["--mix=corruption=0.5,rollouts"], "either every construction has a share, or none"),
        (["--max-length-bias=0.4"], "--max-length-bias is 0.4, but must be from 0.5 to 1"),
        (["--like-model=nobody"], "the store has no mistake of this model at training tasks"),
        (["--like-model=repair", "--mix=rollouts"], "--like-model is for corruptions"),
        (["--mix=same_state=1", "--student=oracle"], "`repoagent build branch` asks for them"),
        (["--student=nobody"], f"--student=nobody: the store has only {', '.join(sorted({*MODELS, STUDENT}))}"),
        (["--min-margin=99"], "margin too small"),
        (["--min-margin=99", "--mix=corruption=1"], "no good pair of it ("),
        (["--where=false", "--mix=corruption"], "no good pair is left (corruption: 0 made)"),
        (["--verify", "--runner=nobody"], "--runner=nobody is unknown"),
        (["--corruptions=0"], "must be at least 1"),
    ],
)
def test_wrong_options_leave_nothing_behind(
    filled: Path, tmp_path: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "there/out"
    assert main(["build", "preferences", "--db", str(filled), "--out", str(out), *TEACHERS, *options]) == 4
    assert says in capsys.readouterr().err
    assert not out.exists()
    assert list(tmp_path.rglob("*.jsonl")) == []


@pytest.mark.parametrize(
    "option",
    [
        "--where=false",
        "--teacher=oracle",
        f"--student={STUDENT}",
        "--verify",
        "--no-require-success",
        "--no-include-final",
        "--max-per-slot=1",
    ],
)
def test_rollouts_alone_refuse_what_they_would_ignore(
    filled: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["build", "preferences", "--db", str(filled), "--out", str(out), "--mix=rollouts", option]) == 4
    name = option.partition("=")[0].replace("--no-", "--")
    assert f"{name} is for the other constructions, but --mix has only rollouts" in capsys.readouterr().err
    assert not out.exists()


def test_a_students_own_replies_refuse_what_chooses_a_teacher(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--out", str(tmp_path / "out"), "--mix=student_best_worst,rollouts", "--where=false")
    assert main(["build", "preferences", "--db", str(filled), *options]) == 4
    assert "--where is for the other constructions, but --mix has only student_best_worst and rollouts" in (
        capsys.readouterr().err
    )


def test_the_query_is_what_ran(filled: Path, tmp_path: Path) -> None:
    for mix, contrasts, steps in (
        ("rollouts", True, False),
        ("corruption", False, True),
        ("corruption,rollouts", True, True),
    ):
        text = read_manifest(build(filled, tmp_path / mix, f"--mix={mix}", "--max-length-bias=1"))["query"]
        assert ("TEMP TABLE contrasts" in text, "$max_per_slot" in text) == (contrasts, steps)


def test_the_card_has_what_contrasts_refused(filled: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.duckdb"
    shutil.copy(filled, store)
    with duckdb.connect(store) as connection:
        failed = "SELECT rollout_id FROM rollouts WHERE NOT success"
        connection.execute(f"UPDATE steps SET {OTHER_REPLY} WHERE step = 0 AND rollout_id IN ({failed})")
    folder = build(store, tmp_path / "out", "--mix=corruption,rollouts", "--max-length-bias=1")
    assert "prompt not reproduced" not in read_manifest(folder)["dropped"]
    assert " prompt not reproduced" in (folder / "README.md").read_text()


def test_a_store_without_branches_still_gives_the_other_pairs(tmp_path: Path) -> None:
    store = tmp_path / "store.duckdb"
    fill(store, ["oracle"])
    folder = tmp_path / "out"
    assert main(["build", "preferences", "--db", str(store), "--out", str(folder)]) == 0
    assert {name for (name,) in lineage(folder, "construction")} == {"corruption"}


def test_a_module_of_its_own(filled: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "builders.preferences", "--db", str(filled), "--out", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "out/README.md").is_file()


def good(deltas: list[int]) -> Iterator[Good]:
    for number, delta in enumerate(deltas):
        yield Good(number, f"{number * 7919 % 101:03}", "c", f"t{number % 3}", "f", delta)


def test_only_the_longer_side_is_thinned_out() -> None:
    chosen = list(good([5] * 30 + [0] * 4 + [-2] * 6))
    left = unbiased(chosen, 0.6)
    assert Counter(pair.delta for pair in left) == {5: 15, 0: 4, -2: 6}
    assert unbiased(chosen, 1.0) == chosen
    assert unbiased(list(good([5, 5])), 0.6) == []
    assert max(Counter(pair.task_id for pair in left if pair.delta == 5).values()) == 5


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=1, max_size=40), min_size=1, max_size=3),
    st.floats(0.5, 1.0),
    st.integers(0, 60),
    st.booleans(),
)
def test_the_length_bound_holds_after_mixing_but_for_rounding(
    deltas: list[list[int]], bound: float, most: int, shared: bool
) -> None:
    made = {str(n): [replace(pair, construction=str(n)) for pair in good(each)] for n, each in enumerate(deltas)}
    pools = {name: left for name, pairs in made.items() if (left := unbiased(pairs, bound))}
    kept = mixed(pools, dict.fromkeys(pools, 1 / len(deltas) if shared else None), most, str)
    assert len(kept) <= (most or 999)
    assert shared or len(kept) == min(most or 999, sum(map(len, pools.values())))
    for name in pools:
        signs = Counter(pair.delta > 0 for pair in kept if pair.construction == name and pair.delta)
        assert max(signs.values(), default=0) <= bound * sum(pair.construction == name for pair in kept) + 1


def test_a_mix_is_as_large_as_its_scarcest_part_allows() -> None:
    pools = {"a": list(good([1] * 30)), "b": list(good([1] * 8))}
    kept = mixed(pools, {"a": 0.5, "b": 0.5}, 0, str)
    assert len(kept) == 16
    assert len(mixed(pools, {"a": 0.75, "b": 0.25}, 0, str)) == 32
    assert len(mixed(pools, {"a": None, "b": None}, 0, str)) == 38
    assert len(mixed(pools, {"a": None, "b": None}, 10, str)) == 10
    with pytest.raises(UsageError, match="no good pair of it"):
        mixed({"a": [], "b": []}, {"a": 1.0, "b": 1.0}, 0, str)
