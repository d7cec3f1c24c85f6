from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from suite_kit import CORRECT, FILES, METADATA, PINNED, commit_all, master, task, write, write_suite

from pytest_repoagent import bundled, cli, cli_suite
from pytest_repoagent.errors import UsageError
from pytest_repoagent.suites import load_suite


def repoagent(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    cli_suite.add_parser(parser.add_subparsers())
    namespace = parser.parse_args(["suite", *map(str, arguments)])
    return int(namespace.handler(namespace))


@pytest.fixture
def bugs(tmp_path: Path) -> Path:
    root = write(tmp_path / "bugs", FILES)
    (root / "catalogue.json").write_text(json.dumps({"double": {**METADATA, "family": "scaling"}}))
    return root


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A master of ten tasks, two to a family."""
    tasks = [task(f"t{i}", family=f"f{i // 2}") for i in range(10)]
    (tmp_path / "suites").mkdir()
    return write_suite(tmp_path / "suites", master(tasks, source="quixbugs"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_build_finds_what_each_task_needs_and_counts_its_tests(tmp_path: Path, bugs: Path) -> None:
    write(bugs, {"python_programs/double_test.py": "", "python_programs/other.py": "x = 1\n"})
    output = tmp_path / "bugs_master.json"
    assert repoagent("build", "minibugs", bugs, "-o", output) == 0
    suite = load_suite(output)
    expected = task(source="minibugs", family="scaling", goal=suite.tasks[0].goal)
    assert [t.model_dump(mode="json", exclude_none=True) for t in suite.tasks] == [expected]
    assert "python_programs/double.py" in suite.tasks[0].goal
    assert "python_testcases/test_double.py" in suite.tasks[0].goal
    assert (suite.source, suite.commit, suite.split) == ("minibugs", None, "master")


def test_build_takes_the_helpers_that_are_imported(tmp_path: Path, bugs: Path) -> None:
    write(
        bugs,
        {"python_testcases/load_testdata.py": "from node import Node\n" + FILES["python_testcases/load_testdata.py"]},
    )
    write(bugs, {"python_programs/double.py": "from .node import Node\n" + FILES["python_programs/double.py"]})
    repoagent("build", "minibugs", bugs, "-o", tmp_path / "bugs_master.json")
    (built,) = load_suite(tmp_path / "bugs_master.json").tasks
    assert set(built.files) == {*PINNED, "python_testcases/node.py", "python_programs/node.py"}


def test_build_pins_the_commit_of_a_work_tree(tmp_path: Path, bugs: Path) -> None:
    commit = commit_all(bugs)
    repoagent("build", "quixbugs", bugs, "-o", tmp_path / "bugs_master.json")
    assert load_suite(tmp_path / "bugs_master.json").commit == commit


def test_build_again_keeps_what_a_person_wrote(tmp_path: Path, bugs: Path) -> None:
    output = tmp_path / "bugs_master.json"
    repoagent("build", "minibugs", bugs, "-o", output)
    before = load_suite(output)
    edit(output, tasks=[task(source="minibugs", family="kin", goal="Mend python_programs/double.py.", files={})])
    (bugs / "catalogue.json").unlink()
    repoagent("build", "minibugs", bugs, "-o", output)
    (again,) = load_suite(output).tasks
    assert (again.family, again.goal) == ("kin", "Mend python_programs/double.py.")
    assert again.files == before.tasks[0].files
    catalogue = tmp_path / "other.json"
    catalogue.write_text(json.dumps({"double": {**METADATA, "difficulty": "hard"}}))
    repoagent("build", "minibugs", bugs, "-o", output, "--catalogue", catalogue)
    (again,) = load_suite(output).tasks
    assert (again.family, again.metadata.difficulty) == ("double", "hard")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"python_programs/double.py": CORRECT}, "minibugs/double: .* so there is no bug"),
        ({"correct_python_programs/double.py": "def double(n):\n    return 1\n"}, "does not pass its tests"),
        ({"correct_python_programs/double.py": "import nothing_of_the_kind\n"}, "does not pass its tests"),
        ({"catalogue.json": "{}"}, "no difficulty, category and defect class are known of double"),
        ({"catalogue.json": '{"double": {"difficulty": "easy"}}'}, r"catalogue\.json: double\.category is missing"),
        ({"catalogue.json": "["}, r"catalogue\.json: the content is wrong"),
    ],
)
def test_build_refuses_what_is_no_task(tmp_path: Path, bugs: Path, change: dict[str, str], message: str) -> None:
    write(bugs, change)
    output = tmp_path / "bugs_master.json"
    with pytest.raises(UsageError, match=message) as error:
        repoagent("build", "minibugs", bugs, "-o", output)
    assert "\n" not in str(error.value)
    assert not output.exists()


@pytest.mark.parametrize("missing", ["correct_python_programs/double.py", "python_testcases/test_double.py"])
def test_build_of_an_incomplete_folder(tmp_path: Path, bugs: Path, missing: str) -> None:
    (bugs / missing).unlink()
    with pytest.raises(UsageError, match=r"there is no corrected program|has no python_programs/NAME\.py with a"):
        repoagent("build", "minibugs", bugs, "-o", tmp_path / "bugs_master.json")


def test_split_writes_both_sides_and_how(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repoagent("split", whole, "--ratio", "60/40", "--salt", "x") == 0
    train, heldout = (load_suite(whole.with_name(f"bugs_{side}.json")) for side in ("train", "heldout"))
    assert (len(train.tasks), len(heldout.tasks)) == (6, 4)
    assert {t.family for t in train.tasks}.isdisjoint(t.family for t in heldout.tasks)
    assert train.derived_from == heldout.derived_from
    assert heldout.derived_from is not None
    assert (heldout.derived_from.method, heldout.derived_from.ratio, heldout.derived_from.salt) == (
        "rank",
        "60/40",
        "x",
    )
    assert capsys.readouterr().out.count("bugs_") == 2


def test_split_by_seed_into_another_folder_is_checked_there(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/bugs_master.json").write_text(whole.read_text())
    assert repoagent("split", whole, "--method", "seed", "-o", tmp_path / "there") == 0
    heldout = load_suite(tmp_path / "there/bugs_heldout.json")
    assert heldout.derived_from is not None
    assert heldout.derived_from.seed == 0
    assert repoagent("check", *sorted((tmp_path / "there").glob("*.json"))) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ratio", "70-30"], "'70-30' is not two percentages"),
        (["--ratio", "99/1"], "leaves no task for heldout"),
        (["--seed", "3"], "a seed is given exactly when the method is seed"),
    ],
)
def test_split_refuses_what_gives_no_split(whole: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        repoagent("split", whole, *arguments)
    assert [path.name for path in whole.parent.iterdir()] == ["bugs_master.json"]


def test_split_of_a_derived_suite(whole: Path) -> None:
    repoagent("split", whole)
    with pytest.raises(UsageError, match="is itself derived from bugs_master; split that"):
        repoagent("split", whole.with_name("bugs_train.json"))


def check(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = repoagent("check", *sorted(folder.glob("*.json")), *arguments)
    return code, capsys.readouterr().out.splitlines()


def test_check_prints_a_line_a_suite(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repoagent("split", whole)
    code, lines = check(capsys, whole.parent)
    assert code == 0
    assert [line.split(",")[0] for line in lines] == [
        "bugs_heldout: 2 tasks",
        "bugs_master: 10 tasks",
        "bugs_train: 8 tasks",
    ]


def test_check_finds_drift_and_a_family_on_both_sides(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repoagent("split", whole)
    train = whole.with_name("bugs_train.json")
    ids = json.loads(train.read_text())["task_ids"]
    held = json.loads(whole.with_name("bugs_heldout.json").read_text())["task_ids"]
    edit(train, task_ids=[held[0], *ids[1:]])
    code, lines = check(capsys, whole.parent)
    assert code == 1
    assert any(f"{train}: task_ids lack {ids[0]}, which rank puts there" in line for line in lines)
    assert any(f"task_ids hold {held[0]}, which rank puts on the other side" in line for line in lines)
    assert any("family 'f" in line and "is also in" in line for line in lines)


def test_check_finds_a_master_that_changed(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repoagent("split", whole)
    edit(whole, commit="a" * 40)
    code, lines = check(capsys, whole.parent)
    assert code == 1
    assert sum("derived_from.sha256" in line for line in lines) == 2


def test_check_finds_a_family_on_both_sides_of_suites_written_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side, name in (("train", "add"), ("heldout", "double")):
        write_suite(tmp_path, master([task(name, family="kin")], name=f"own_{side}", source="quixbugs", split=side))
    code, lines = check(capsys, tmp_path)
    assert (code, len(lines)) == (1, 1)
    assert "family 'kin' is also in" in lines[0]


def test_check_compares_the_files_of_quixbugs_where_they_are_given(
    tmp_path: Path, bugs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_suite(tmp_path, master([task()], source="quixbugs"))
    assert check(capsys, tmp_path, "--quixbugs", bugs)[0] == 0
    (bugs / "conftest.py").write_text("")
    code, lines = check(capsys, tmp_path, "--quixbugs", bugs)
    assert (code, len(lines)) == (1, 1)
    assert "conftest.py has sha256" in lines[0]


def test_check_compares_the_files_of_the_bundled_bugs(
    tmp_path: Path, bugs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "minibugs_dir", lambda: bugs)
    write_suite(tmp_path, master([task()], source="minibugs"))
    assert check(capsys, tmp_path)[0] == 0
    (bugs / "python_programs/double.py").unlink()
    assert check(capsys, tmp_path)[0] == 1


def test_check_finds_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.json").write_text("{")
    code, lines = check(capsys, tmp_path)
    assert (code, len(lines)) == (1, 1)


def test_the_bundled_suites_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert repoagent("check") == 0
    listed = capsys.readouterr().out
    assert repoagent("list") == 0
    assert capsys.readouterr().out == listed
    assert "quixbugs_heldout: 13 tasks, heldout, source quixbugs" in listed
    assert "minibugs_heldout: " in listed


def test_show_tells_of_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert repoagent("show", "quixbugs_heldout") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 13
    assert any("quixbugs/knapsack" in line and "9 +1 skipped" in line for line in lines)


def test_show_of_an_unknown_suite() -> None:
    with pytest.raises(UsageError, match="quixbugs_heldout, quixbugs_master, quixbugs_train"):
        repoagent("show", "nothing")


def test_a_usage_error_is_one_line_and_exit_code_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["suite", "split", "quixbugs_master", "--ratio", "70-30"]) == 4
    error = capsys.readouterr().err
    assert "ratio is wrong: '70-30'" in error
    assert error.count("\n") == 1
