from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
import rollout_kit as kit
from hypothesis import given
from hypothesis import strategies as st
from store_factory import older

from builders import card, formats
from builders.examples import Example
from builders.plan import val_families
from pytest_repoagent.cli import main
from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.protocol.render import prompt_sha256
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store.connection import SCHEMA_VERSION
from pytest_repoagent.store.reader import query


def rollouts(tasks: str = "abcdefgh") -> Iterator[Rollout]:
    for task in tasks:
        yield kit.rollout(
            [kit.LIST, kit.read(task), "prose", kit.write(f"{task} = 1\n"), kit.FINAL], task=f"own/{task}"
        )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return kit.store(tmp_path / "store.duckdb", *rollouts())


def build(store: Path, name: str = "out", *options: str, expect: int = 0) -> Path:
    out = store.parent / name
    assert main(["build", "sft", "--db", str(store), "--out", str(out), *options]) == expect
    return out


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def lineage(folder: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        result = connection.execute("FROM read_parquet(?)", [str(folder / "lineage.parquet")])
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(store: Path) -> set[str]:
    """What lies beside the store besides its own files."""
    return {path.name for path in store.parent.iterdir()} - {store.name, f"{store.name}.lock", f"{store.name}.wal"}


def test_a_dataset_is_its_rows_and_what_is_known_of_them(store: Path) -> None:
    folder = build(store, "made/here")
    assert sorted(contents(folder)) == ["README.md", "lineage.parquet", "manifest.json", "train.jsonl", "val.jsonl"]
    about = manifest(folder)
    for name, facts in about["files"].items():
        content = (folder / name).read_bytes()
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["bytes"] == len(content)
        if "rows" in facts:
            assert facts["rows"] == content.count(b"\n") == about["statistics"][name]["rows"]
    assert (about["kind"], about["format"], about["steps"]) == ("sft", "together", 40)
    assert about["dropped"] == {"no valid action": 8}
    assert about["store"] == {"path": str(store), "schema_version": SCHEMA_VERSION, "rollouts": 8, "steps": 40}
    assert about["flags"]["val_fraction"] == 0.1
    assert "out" not in about["flags"]
    assert "candidate_steps" in about["query"]
    assert about["tokenizer"].startswith("approximation: ")


def test_lineage_names_the_recorded_step_of_every_line(store: Path) -> None:
    folder = build(store)
    rows = {
        (file, number): row
        for file in ("train", "val")
        for number, row in enumerate(kit.rows(folder / f"{file}.jsonl"), 1)
    }
    origins = lineage(folder)
    assert {(origin["file"], origin["line"]) for origin in origins} == rows.keys()
    recorded = {(rollout.rollout_id, step.index): step for rollout in rollouts() for step in rollout.trajectory}
    for origin in origins:
        *prompt, target = rows[origin["file"], origin["line"]]["messages"]
        step = recorded[origin["rollout_id"], origin["step"]]
        assert origin["state_hash"] == step.prompt_sha256 == prompt_sha256(prompt)
        assert origin["action_sha256"] == hashlib.sha256(target["content"].encode()).hexdigest()
        assert json.loads(target["content"]) == step.action
        assert (origin["run_id"], origin["model"], origin["construction"]) == ("run1", "builtin:teacher", "step")
        assert (origin["family"], origin["steps"], origin["weight"]) == (origin["task_id"][-1], [step.index], 1.0)


def test_lineage_of_a_trajectory_names_every_step_that_is_learned(store: Path) -> None:
    (first, *_) = lineage(build(store, "out", "--unit=trajectory"))
    assert (first["construction"], first["step"], first["steps"]) == ("trajectory", 4, [0, 1, 3, 4])


def test_the_same_store_and_flags_give_the_same_bytes(tmp_path: Path, store: Path) -> None:
    first, second = build(store, "first"), build(store, "second")
    assert contents(first) == contents(second)
    again = build(kit.store(tmp_path / "other" / "store.duckdb", *rollouts()), "third")
    for name in ("train.jsonl", "val.jsonl", "lineage.parquet"):
        assert (again / name).read_bytes() == (first / name).read_bytes()


@pytest.mark.parametrize("format", formats.FORMATS)
def test_every_format_is_written_and_passes_its_own_check(
    store: Path, format: formats.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build(store, "out", f"--format={format}")
    capsys.readouterr()
    for side in ("train", "val"):
        assert (
            main(["validate", str(folder / formats.file_name(side, format)), f"--format={format}", "--kind=sft"]) == 0
        )
    assert "nothing found" in capsys.readouterr().out


def test_validation_rows_are_of_other_families(store: Path) -> None:
    origins = lineage(build(store, "out", "--val-fraction=0.3"))
    families: dict[str, set[str]] = {"train": set(), "val": set()}
    for origin in origins:
        families[origin["file"]].add(origin["family"])
    assert families["train"] | families["val"] == set("abcdefgh")
    assert not families["train"] & families["val"]
    assert len(families["val"]) == 2  # of eight families of equal size


def test_no_validation_rows_no_file(store: Path) -> None:
    assert "val.jsonl" not in contents(build(store, "out", "--val-fraction=0"))


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 50), min_size=2, max_size=12), st.floats(0.01, 0.99)
)
def test_families_for_validation(families: dict[str, int], fraction: float) -> None:
    val = val_families(families, fraction)
    assert val < families.keys()
    assert val
    assert val == val_families(dict(reversed(families.items())), fraction)
    taken, wanted = sum(families[family] for family in val), fraction * sum(families.values())
    assert taken <= max(wanted + 0.5, min(families.values()))


def test_the_card_says_what_one_must_know(store: Path) -> None:
    card = (build(store) / "README.md").read_text()
    for said in (
        "32 next actions to learn in the format of together",
        "| used | 32 |",
        "| all steps in the store | 40 |",
        "| left out | steps |",
        "| no valid action | 8 |",
        "No row is of a held-out task or family",
        "Programs of quixbugs_heldout were not compared with: the store has no training rollout of quixbugs.",
        "at $0.48 a million tokens",
        "| write_file | 7 | 25.0% |",
        "| success | rows | share |",
        "`val_fraction=0.1`",
    ):
        assert said in card, card


def test_the_store_is_told(store: Path) -> None:
    first = build(store)
    told = (
        "SELECT path, kind, format, train_rows, val_rows, manifest_sha256, manifest FROM datasets ORDER BY created_at"
    )
    ((path, kind, format, train, val, sha256, text),) = query(store, told)[1]
    assert (path, kind, format, train, val) == (str(first), "sft", "together", 28, 4)
    assert text.encode() == (first / "manifest.json").read_bytes()
    assert sha256 == hashlib.sha256(text.encode()).hexdigest()
    build(store, "out", "--force")
    build(store, "out", "--force", "--val-fraction=0")
    assert [row[3:5] for row in query(store, told)[1]] == [(28, 4), (32, 0)]


def test_a_folder_is_replaced_only_if_it_is_a_dataset_and_that_is_asked_for(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build(store)
    before = contents(folder)
    build(store, "out", "--val-fraction=0", expect=4)
    assert "out exists already; name another folder, or replace the dataset with --force" in capsys.readouterr().err
    assert contents(folder) == before
    build(store, "out", "--val-fraction=0", "--force")
    assert "val.jsonl" not in contents(folder)
    (store.parent / "precious").mkdir()
    build(store, "precious", "--force", expect=4)
    assert "precious is no dataset of pytest-repoagent" in capsys.readouterr().err
    assert leftovers(store) == {"out", "precious"}


def test_a_store_of_a_newer_version(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(store) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    build(store, expect=4)
    assert "has schema version 99" in capsys.readouterr().err
    assert not leftovers(store)


@pytest.mark.parametrize(
    ("made", "options", "says"),
    [
        ("dataset", [], "out exists already"),
        ("folder", [], "out exists already"),
        ("folder", ["--force"], "out is no dataset of pytest-repoagent"),
    ],
)
def test_what_appeared_meanwhile_is_not_replaced(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: str,
    options: list[str],
    says: str,
) -> None:
    out, other = store.parent / "out", build(store, "other")
    render = card.render

    def slow(*of: Any) -> str:
        out.mkdir()
        if made == "dataset":
            shutil.copytree(other, out, dirs_exist_ok=True)
        return render(*of)

    monkeypatch.setattr("builders.card.render", slow)
    build(store, "out", *options, expect=4)
    assert says in capsys.readouterr().err
    assert contents(out) == (contents(other) if made == "dataset" else {})
    assert leftovers(store) == {"out", "other"}


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_folder_is_no_store(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "sft", "--db", name, "--out", str(tmp_path / "out")]) == 4
    assert f"{name} cannot be used as a store (it is a folder); name another file" in capsys.readouterr().err


@pytest.mark.parametrize("version", [1, 2])
def test_a_store_of_an_earlier_version_gives_the_same_dataset(tmp_path: Path, store: Path, version: int) -> None:
    same = [*rollouts(), kit.rollout([kit.LIST, kit.FINAL], task="own/h")]
    kit.store(store, same[-1])
    old = tmp_path / "old" / 'the "first".duckdb'
    older(old, version, *same)
    now, before = build(store, "out", "--max-per-slot=0"), build(old, "out", "--max-per-slot=0")
    assert manifest(now)["dropped"] == manifest(before)["dropped"]
    for name in ("train.jsonl", "val.jsonl", "lineage.parquet"):
        assert (now / name).read_bytes() == (before / name).read_bytes()


def test_a_store_of_the_first_version(tmp_path: Path) -> None:
    store = tmp_path / "store.duckdb"
    older(store, 1)
    build(store, expect=4)
    kit.store(store, *rollouts())
    build(store)


def test_prompts_that_cannot_be_reproduced_are_counted(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(store) as connection:
        connection.execute(f"UPDATE steps SET {kit.OTHER_REPLY} WHERE rollout_id LIKE '%own/a%' AND step = 1")
    assert manifest(build(store))["dropped"] == {"no valid action": 8, "prompt not reproduced": 2}
    with duckdb.connect(store) as connection:
        connection.execute("UPDATE steps SET texts = replace(texts, 'GOAL', 'goal')")
    capsys.readouterr()
    build(store, "none", expect=4)
    error = capsys.readouterr().err
    assert error.startswith(
        f"repoagent: no training row is left of the 40 steps in {store} (32 prompt not reproduced, "
    )
    assert leftovers(store) == {"out"}


def test_a_damaged_store_is_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = store.read_bytes()
    store.write_bytes(content[:40_000] + bytes(len(content) - 40_000))
    assert main(["build", "sft", "--db", str(store), "--out", str(store.parent / "out")]) in (1, 4)
    error = capsys.readouterr().err
    assert str(store) in error
    assert error.count("\n") == 1
    assert not leftovers(store)


def test_a_full_disk_leaves_nothing(store: Path) -> None:
    command = [sys.executable, "-m", "builders.sft", "--db", str(store), "--out", str(store.parent / "out")]
    sizes = [10_000, 60_000]  # the rows do not fit, the last files do not
    for size in sizes:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent.parent,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)),
        )
        assert done.returncode == 1, done.stderr
        assert "out was not written: File too large" in done.stderr
        assert done.stderr.count("\n") == 1
        assert not leftovers(store)


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    store = kit.store(tmp_path / "store.duckdb", *rollouts("".join(map(chr, range(0x4E00, 0x4E00 + 400)))))
    command = [sys.executable, "-m", "builders.sft", "--db", str(store), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    while process.poll() is None and not list(tmp_path.glob(".out.unfinished-*/out/train.lines")):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    assert process.communicate()[1] == "repoagent: interrupted\n"
    assert process.returncode == 130
    assert not leftovers(store)


SHARED = """
import errno, os, signal, sys, time
from builders import formats, selection, writing
from pytest_repoagent.cli import main

selection.CHUNK_STEPS, writing.SHARED_FROM_STEPS, os.cpu_count = 7, 1, lambda: 2
if "SLOW" in os.environ:
    line = formats.line
    formats.line = lambda *of: time.sleep(0.05) or line(*of)
def killed(*of):
    os.kill(os.getpid(), signal.SIGKILL)
def failed(*of):
    raise OSError(errno.ENOSPC, "No space left on device")
if "FATE" in os.environ and __name__ == "__mp_main__":
    formats.line = globals()[os.environ["FATE"]]
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def shared(store: Path, *options: str) -> subprocess.Popen[str]:
    """The command in two processes, in a process group of its own."""
    script = store.with_name("shared.py")
    script.write_text(SHARED)
    command = [sys.executable, str(script), "build", "sft", "--db", str(store), "--out", str(store.parent / "out")]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("option", ["--unit=step", "--unit=trajectory"])
def test_two_processes_write_what_one_does(store: Path, option: str) -> None:
    alone = build(store, "alone", option)
    process = shared(store, option)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    assert contents(store.parent / "out") == contents(alone)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ("killed", "a process that wrote rows was killed; is there too little memory?"),
        ("failed", "No space left on device"),
    ],
)
def test_the_other_process_is_waited_for_no_longer_than_it_lives(
    store: Path, monkeypatch: pytest.MonkeyPatch, fate: str, reason: str
) -> None:
    monkeypatch.setenv("FATE", fate)
    process = shared(store)
    error = process.communicate(timeout=60)[1]
    assert reason in error
    assert (error.count("\n"), process.returncode) == (1, 1)
    assert leftovers(store) == {"shared.py"}


@pytest.mark.parametrize("lines", [0, 20], ids=["while one starts", "while both write"])
def test_ctrl_c_stops_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    monkeypatch.setenv("SLOW", "1")
    store = kit.store(tmp_path / "store.duckdb", *rollouts("".join(map(chr, range(0x4E00, 0x4E00 + 400)))))
    process = shared(store)
    while process.poll() is None:
        if any(file.read_bytes().count(b"\n") >= lines for file in tmp_path.glob(".out.unfinished-*/out/train.lines")):
            break
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    assert (process.communicate()[1], process.returncode) == ("repoagent: interrupted\n", 130)
    assert leftovers(store) == {"shared.py"}


def test_an_interrupt_while_rows_are_written(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = formats.line
    lines: list[bytes] = []

    def line(example: Example, format: formats.Format) -> bytes:
        if len(lines) == 3:
            raise KeyboardInterrupt
        lines.append(write(example, format))
        return lines[-1]

    monkeypatch.setattr("builders.formats.line", line)
    build(store, expect=130)
    assert not leftovers(store)


def test_a_file_that_a_trainer_would_refuse_is_not_written(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = formats.line
    monkeypatch.setattr("builders.formats.line", lambda example, format: write(example, format).replace(b":1}", b":2}"))
    build(store, expect=4)
    error = capsys.readouterr().err
    assert "train.jsonl:1: messages[2].weight" in error
    assert "(rollout run1-own/a-builtin:teacher-0): together would refuse this" in error
    assert not leftovers(store)


def test_a_store_that_cannot_be_told_leaves_the_dataset(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(*_: object) -> None:
        raise InfrastructureError("it is in use")

    monkeypatch.setattr("pytest_repoagent.store.datasets.record", busy)
    folder = build(store, expect=1)
    assert "out is complete, but the store has no row for it: it is in use" in capsys.readouterr().err
    assert "train.jsonl" in contents(folder)


def diff(capsys: pytest.CaptureFixture[str], before: Path, after: Path) -> list[str]:
    capsys.readouterr()
    assert main(["dataset", "diff", str(before), str(after)]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if "sha256" not in line]


def test_diff_explains_what_changed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, same = build(store, "a"), build(store, "b")
    assert diff(capsys, first, same) == ["32 rows the same (32 builtin:teacher)"]
    fewer = build(store, "c", "--no-include-final", "--val-fraction=0")
    assert diff(capsys, first, fewer) == [
        "flag include_final: True -> False",
        "flag val_fraction: 0.1 -> 0.0",
        "left out: final: 0 -> 8",
        "3 rows moved from val to train (3 builtin:teacher)",
        "8 rows removed, of a run that still gives some (8 builtin:teacher)",
        "21 rows the same (21 builtin:teacher)",
    ]
    assert diff(capsys, first, build(store, "e", "--truncate-results=5"))[-2:] == [
        "8 rows the same (8 builtin:teacher)",
        "24 rows with another prompt (24 builtin:teacher)",
    ]
    kit.store(store, kit.rollout(task="own/z", run="run2"), kit.rollout(task="own/y"))
    more = build(store, "d")
    assert diff(capsys, first, more)[:4] == [
        "store rollouts: 8 -> 10",
        "store steps: 40 -> 48",
        "4 rows added, of a run that gave none before (4 builtin:teacher)",
        "4 rows added, of a run that gave some before (4 builtin:teacher)",
    ]


def test_diff_of_what_is_no_dataset(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = build(store)
    assert main(["dataset", "diff", str(folder), str(store.parent)]) == 4
    assert "is no dataset of pytest-repoagent" in capsys.readouterr().err
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"schema": 1', '"schema": 2'))
    assert main(["dataset", "diff", str(folder), str(folder)]) == 4
    assert "newer than this version's 1" in capsys.readouterr().err
    for spelled, says in (('"schema": "1"', "schema is '1'"), ('"scheme": 1', "schema is None")):
        (folder / "manifest.json").write_text(text.replace('"schema": 1', spelled))
        assert main(["dataset", "diff", str(folder), str(folder)]) == 4
        assert f"manifest.json: {says}, but must be a number" in capsys.readouterr().err
    for at, says in (("flags", "flags is missing"), ("dropped", "dropped.final is wrong")):
        broken = json.loads(text)
        broken[at] = {"final": "eight"}
        if at == "flags":
            del broken[at]
        (folder / "manifest.json").write_text(json.dumps(broken))
        assert main(["dataset", "diff", str(folder), str(folder)]) == 4
        assert f"manifest.json: {says}" in capsys.readouterr().err
    (folder / "manifest.json").write_text(text)
    shutil.copy(folder / "README.md", folder / "lineage.parquet")
    assert main(["dataset", "diff", str(folder), str(folder)]) == 4
    assert "the lineage.parquet of a dataset cannot be read" in capsys.readouterr().err
