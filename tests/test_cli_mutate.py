from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_repoagent import bundled, cli
from pytest_repoagent.mutation.build import Maker
from pytest_repoagent.mutation.gate import known_bugs
from pytest_repoagent.mutation.workers import Workers
from pytest_repoagent.registry import built_in
from pytest_repoagent.sources.mutants import mutant
from pytest_repoagent.suites import Suite, load_suite
from pytest_repoagent.testrun.base import Job

SUITES = bundled.suites_dir()
NAMES = {"train": ("leaf_paths", "parse_duration"), "heldout": ("batches",)}


def lay_out(folder: Path) -> Path:
    """The bundled master, and a train and a held-out suite of few of its programs."""
    shutil.copy(SUITES / "minibugs_master.json", folder)
    for side, names in NAMES.items():
        value = json.loads((SUITES / f"minibugs_{side}.json").read_text())
        value |= {"name": f"few_{side}", "task_ids": [f"minibugs/{name}" for name in names]}
        (folder / f"few_{side}.json").write_text(json.dumps(value))
    return folder


def mutate(folder: Path, side: str, *arguments: object) -> int:
    output = folder / f"new_{side}.json"
    return cli.main(["suite", "mutate", str(folder / f"few_{side}.json"), "-o", str(output), *map(str, arguments)])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = lay_out(tmp_path_factory.mktemp("made"))
    assert mutate(folder, "train", "--per-program", 6, "-j", 2) == 0
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lay_out(tmp_path)


@pytest.fixture
def new_train(folder: Path, made: Path) -> Path:
    """A suite of new tasks."""
    return Path(shutil.copy(made / "new_train.json", folder))


def test_the_tasks_of_a_new_suite_fail_their_tests_and_their_fixes_pass(new_train: Path) -> None:
    suite = load_suite(new_train)
    assert 8 <= len(suite.tasks) <= 12
    assert {task.family for task in suite.tasks} == {"leaf_paths", "parse_duration"}
    registry = built_in()
    source = registry.source(suite, None)
    runner = registry.runner("warm", "auto")
    for task in suite.tasks:
        files = source.files(task)
        passed = task.expected_tests.passed
        for candidate, passes in (({}, False), (source.fix(task), True)):
            job = Job(files.root, files.paths, candidate, task.command, passed, editable=task.editable)
            assert runner.run(job).passed == passes
        assert task.mutation is not None
        (before,) = source.fix(task).values()
        text = (files.root / task.expected_files[0]).read_text()
        assert mutant(before, task.mutation.line, task.mutation.new) == text
    runner.close()
    assert cli.main(["suite", "check", str(new_train)]) == 0


def test_the_seed_decides_and_nothing_else(folder: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mutate(folder, "train", "--per-program", 6, "-j", 1) == 0
    assert "split train, programs 2, tasks " in capsys.readouterr().out
    path = folder / "new_train.json"
    assert path.read_bytes() == (made / "new_train.json").read_bytes()
    tasks = {task.task_id for task in load_suite(path).tasks}
    assert mutate(folder, "train", "--per-program", 6, "-j", 2, "--seed", 1) == 0
    assert {task.task_id for task in load_suite(path).tasks} != tasks


def test_fresh_tasks_of_heldout_programs_stay_held_out(folder: Path) -> None:
    assert mutate(folder, "heldout", "--per-program", 6, "-j", 2, "--fresh-heldout") == 0
    suite = load_suite(folder / "new_heldout.json")
    assert suite.split == "heldout"
    assert {task.family for task in suite.tasks} == {"batches"}
    assert cli.main(["suite", "check", str(folder / "new_heldout.json")]) == 0


def check(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["suite", "check", str(path)]) == 1
    return capsys.readouterr().out


def test_check_finds_what_does_not_fit(new_train: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = json.loads(new_train.read_text())

    def spoiled(change: str) -> str:
        value = json.loads(json.dumps(good))
        task = value["tasks"][0]
        match change:
            case "line":
                task["mutation"]["line"] += 1
            case "new":
                task["mutation"]["new"] = "    pass"
            case "id":
                task["task_id"] = "minibugs/leaf_paths.00000000"
            case "parent":
                task["mutation"]["parent"] = "minibugs/batches"
            case "family":
                task["family"] = "batches"
            case "class":
                task["metadata"]["defect_class"] = "another"
            case "split":
                value["split"] = "heldout"
            case "suite":
                value["mutated_from"]["sha256"] = "0" * 64
            case "missing":
                value["mutated_from"]["suite"] = "nowhere"
        new_train.write_text(json.dumps(value))
        return check(new_train, capsys)

    assert "do not give the program that suite new_train pins" in spoiled("line")
    assert "do not give the program that suite new_train pins" in spoiled("new")
    assert "task_id of minibugs/leaf_paths.00000000" in spoiled("id")
    assert "has the parent minibugs/batches, which" in spoiled("parent")
    assert "family of minibugs/leaf_paths." in spoiled("family")
    assert "metadata of minibugs/leaf_paths." in spoiled("class")
    assert "split is not that of" in spoiled("split")
    assert "make the suite again with `repoagent suite mutate`" in spoiled("suite")
    assert "mutated_from.suite names 'nowhere', which is nowhere" in spoiled("missing")


def test_check_finds_a_known_bug(new_train: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = json.loads(new_train.read_text())
    master = {task.name: task for task in load_suite(SUITES / "minibugs_master.json").tasks}
    program = "python_programs/leaf_paths.py"
    sha256 = master["leaf_paths"].files[program]
    root = bundled.minibugs_dir()
    texts = [
        (root / top / "leaf_paths.py").read_text().splitlines()
        for top in ("python_programs", "correct_python_programs")
    ]
    line = next(i for i, (a, b) in enumerate(zip(*texts, strict=True)) if a != b)
    task = value["tasks"][0]
    task["task_id"] = f"minibugs/leaf_paths.{sha256[:8]}"
    task["files"][program] = sha256
    task["mutation"] |= {"line": line + 1, "new": texts[0][line]}
    new_train.write_text(json.dumps(value))
    assert f"minibugs/leaf_paths.{sha256[:8]} recreates a known bug (known_program)" in check(new_train, capsys)


@pytest.mark.parametrize(
    ("side", "arguments", "message"),
    [
        ("heldout", (), "split is heldout, but train is needed; with --fresh-heldout its programs give tasks"),
        ("train", ("--fresh-heldout",), "split is train, but heldout is needed; leave --fresh-heldout out"),
        ("train", ("-j", "0"), "--jobs and --per-program must be at least 1"),
        ("train", ("--per-program", "0"), "--jobs and --per-program must be at least 1"),
        ("train", ("-o", "new.txt"), "new.txt: the file's name must be"),
        ("train", ("--runner", "nobody"), "--runner=nobody is unknown"),
    ],
)
def test_what_cannot_be_made_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], side: str, arguments: tuple[str, ...], message: str
) -> None:
    assert mutate(folder, side, *arguments) == 4
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(folder.glob("*new_*"))


def test_a_master_and_somebody_elses_file_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["suite", "mutate", "minibugs_master", "-o", str(folder / "new.json")]) == 4
    assert (
        "split is master, but train is needed; name one of the suites that were split from it"
        in capsys.readouterr().err
    )
    before = (folder / "few_train.json").read_bytes()
    assert mutate(folder, "train", "-o", folder / "few_train.json") == 4
    assert "is a suite that mutate did not make" in capsys.readouterr().err
    assert (folder / "few_train.json").read_bytes() == before


def test_ctrl_c_leaves_nothing_behind(folder: Path) -> None:
    output = folder / "new.json"
    command = [sys.executable, "-m", "pytest_repoagent.cli", "suite", "mutate", "minibugs_train", "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder) as process:
        deadline = time.monotonic() + 60
        while not (started := _children(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == b"repoagent: interrupted\n"
    assert started
    assert not [path for path in folder.iterdir() if "new" in path.name]
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def _children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (thread / "children").read_text().split()]
    return found


@pytest.mark.skipif("QUIXBUGS_ROOT" not in os.environ, reason="needs QUIXBUGS_ROOT, a copy of QuixBugs")
def test_quixbugs_gives_tasks_whose_suite_holds_only_the_edits(tmp_path: Path) -> None:
    side = load_suite(SUITES / "quixbugs_train.json")
    master = load_suite(SUITES / "quixbugs_master.json")
    registry = built_in()
    source = registry.source(master, None)
    few = Suite(**vars(side) | {"tasks": tuple(t for t in side.tasks if t.name in ("gcd", "powerset", "quicksort"))})
    with Workers(lambda: registry.runner("warm", "auto"), 2) as workers:
        maker = Maker(few, source, known_bugs(master, source, side), workers, lambda verdicts, *_: verdicts, 0)
        file = maker.make("new", 5)
    assert {task.mutation.parent for task in file.tasks if task.mutation} == {t.task_id for t in few.tasks}
    assert "Output" not in file.model_dump_json()
