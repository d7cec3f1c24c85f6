from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from suite_kit import master, task, write_suite

from pytest_repoagent import bundled
from pytest_repoagent.errors import SuiteError, UsageError
from pytest_repoagent.goals import TEMPLATES, paraphrase
from pytest_repoagent.suite_fields import clean_path
from pytest_repoagent.suites import MasterFile, Suite, Task, dump_suite, find_suite, load_suite

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def derived(**changes: Any) -> dict[str, Any]:
    origin = {"suite": "bugs_master", "sha256": "0" * 64, "method": "rank", "ratio": "70/30", "salt": "", "seed": None}
    fields = {"schema": 1, "name": "bugs_train", "split": "train", "derived_from": origin, "task_ids": ["bugs/double"]}
    return {**fields, **changes}


def derived_of(suite: Suite, **changes: Any) -> dict[str, Any]:
    value = derived(**changes)
    value["derived_from"] |= {"sha256": suite.sha256}
    return value


def test_tasks_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    suite = load_suite(write_suite(tmp_path, master([task("double"), task("add")], source="minibugs")))
    assert [t.name for t in suite.tasks] == ["add", "double"]
    assert (suite.name, suite.source, suite.split, suite.commit) == ("bugs_master", "minibugs", "master", None)


def test_only_content_counts_for_the_hash(tmp_path: Path) -> None:
    value = master([task()])
    path = write_suite(tmp_path, value)
    first = load_suite(path).sha256
    path.write_text(json.dumps(dict(reversed(value.items())), indent=4))
    assert load_suite(path).sha256 == first
    value["tasks"][0]["goal"] += "!"
    path.write_text(json.dumps(value))
    assert load_suite(path).sha256 != first


def test_a_dumped_suite_is_the_suite_that_was_read(tmp_path: Path) -> None:
    value = master([task()], commit="a" * 40)
    dump_suite(MasterFile.model_validate(value), tmp_path / "bugs_master.json")
    assert load_suite(tmp_path / "bugs_master.json").tasks == (Task.model_validate(value["tasks"][0]),)


def test_a_derived_suite_takes_its_tasks_from_the_master(tmp_path: Path) -> None:
    whole = load_suite(write_suite(tmp_path, master([task("double"), task("add")], commit="a" * 40)))
    suite = load_suite(write_suite(tmp_path, derived_of(whole)))
    assert [t.task_id for t in suite.tasks] == ["bugs/double"]
    assert (suite.split, suite.source, suite.commit) == ("train", "bugs", "a" * 40)
    assert suite.derived_from is not None
    assert suite.derived_from.sha256 == whole.sha256


def _with_task(**changes: Any) -> dict[str, Any]:
    return master([task("add"), task("double", **changes)])


def _without(key: str) -> dict[str, Any]:
    value = _with_task()
    del value["tasks"][1][key]
    return value


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (_with_task(surprise=1), "tasks[1].surprise is not a field there is"),
        (_without("files") | {"tasks": [{}]}, "tasks[0].task_id is missing"),
        (_without("goal"), "tasks[1].goal is missing"),
        (_with_task(files=["a"]), "tasks[1].files is wrong"),
        (_with_task(files={"../x": "0" * 64}), 'tasks[1].files["../x"] is wrong'),
        (_with_task(files={"x": "0" * 63}), "tasks[1].files.x is wrong"),
        (_with_task(expected_files=["/etc/passwd"]), "tasks[1].expected_files[0] is wrong"),
        (_with_task(editable=["../"]), "tasks[1].editable[0] is wrong"),
        (_with_task(expected_tests={"passed": "3"}), "tasks[1].expected_tests.passed is wrong"),
        (_with_task(expected_tests={"passed": True}), "tasks[1].expected_tests.passed is wrong"),
        (_with_task(expected_tests={"passed": 0}), "tasks[1].expected_tests.passed is wrong"),
        (_with_task(fix_commit="main"), "tasks[1].fix_commit is wrong"),
        (_with_task(task_id="double"), "tasks[1].task_id is wrong"),
        (_with_task(task_id="bugs/add"), "tasks[1].task_id is 'bugs/add'"),
        (master([]), "tasks is wrong"),
        (master([task()], schema=2), "schema is wrong"),
        (master([task()], split="test"), "split is wrong"),
        (master([task()], commit="HEAD"), "commit is wrong"),
        (derived(task_ids=[]), "task_ids is wrong"),
        (derived(task_ids=["bugs/a", "bugs/a"]), "task_ids[1] is 'bugs/a'"),
        (derived(split="master"), "split is wrong"),
        (derived(derived_from={"suite": "bugs_master"}), "derived_from.sha256 is missing"),
        (derived(tasks=[]), "tasks is not a field there is"),
        (derived(), "derived_from.suite names 'bugs_master', but there is no file"),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, value: dict[str, Any], field: str) -> None:
    path = write_suite(tmp_path, value)
    with pytest.raises(SuiteError) as error:
        load_suite(path)
    assert str(error.value).startswith(f"{path}: {field}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ratio", "method", "seed", "message"),
    [
        ("70/20", "rank", None, "derived_from.ratio is wrong: '70/20'"),
        ("0/100", "rank", None, "derived_from.ratio is wrong"),
        ("70/30", "rank", 1, "derived_from is wrong: a seed is given"),
        ("70/30", "seed", None, "derived_from is wrong: a seed is given"),
        ("70/30", "random", None, "derived_from.method is wrong"),
    ],
)
def test_a_recipe_that_no_split_follows(
    tmp_path: Path, ratio: str, method: str, seed: int | None, message: str
) -> None:
    value = derived()
    value["derived_from"] |= {"ratio": ratio, "method": method, "seed": seed}
    with pytest.raises(SuiteError, match=re.escape(message)):
        load_suite(write_suite(tmp_path, value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON in UTF-8"),
        (b'{"schema": 1, "schema": 1}', "key 'schema' occurs twice"),
        (b"[]", "is not a JSON object"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_no_suite(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bugs.json"
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=re.escape(f"{path}: ")) as error:
        load_suite(path)
    assert message in str(error.value)


def test_a_name_that_is_not_the_files(tmp_path: Path) -> None:
    path = write_suite(tmp_path, master([task()])).rename(tmp_path / "copy.json")
    with pytest.raises(SuiteError, match="name is 'bugs_master', but must be the file's name, 'copy'"):
        load_suite(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="No such file"):
        load_suite(tmp_path / "none.json")


def _changed_master(value: dict[str, Any]) -> None:
    value["tasks"][0]["goal"] += " Please."


def _lost_task(value: dict[str, Any]) -> None:
    value["tasks"][0]["task_id"] = "bugs/other"


@pytest.mark.parametrize("change", [_changed_master, _lost_task])
def test_a_master_that_changed_after_the_split(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = master([task()])
    child = write_suite(tmp_path, derived_of(load_suite(write_suite(tmp_path, value))))
    change(value)
    write_suite(tmp_path, value)
    with pytest.raises(SuiteError, match=r"derived_from\.sha256 is .* run `repoagent suite split bugs_master` again"):
        load_suite(child)


def test_a_task_that_the_master_does_not_have(tmp_path: Path) -> None:
    whole = load_suite(write_suite(tmp_path, master([task()])))
    child = write_suite(tmp_path, derived_of(whole, task_ids=["bugs/double", "bugs/triple"]))
    with pytest.raises(SuiteError, match=r"task_ids\[1\] is 'bugs/triple'"):
        load_suite(child)


def test_a_suite_derived_from_a_derived_one(tmp_path: Path) -> None:
    value = derived(name="bugs_master")
    with pytest.raises(SuiteError, match="is itself derived"):
        load_suite(write_suite(tmp_path, value))


def _places(value: Any, here: tuple[int | str, ...] = ()) -> list[tuple[int | str, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] + [place for key, part in inner for place in _places(part, (*here, key))]


@given(data=st.data(), junk=JSON, whole=st.sampled_from([master([task()]), derived()]))
def test_whatever_is_spoiled_the_error_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, junk: Any, whole: dict[str, Any]
) -> None:
    value = copy.deepcopy(whole)
    place = data.draw(st.sampled_from(_places(value)[1:]))
    target: Any = value
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = junk
    path = tmp_path_factory.getbasetemp() / f"{whole['name']}_spoiled.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SuiteError) as error:  # also when the junk fits: the name is not the file's
        load_suite(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@given(st.text() | st.lists(st.sampled_from(["a", ".", "..", "", "/", "\\", "\0", "b.py"])).map("/".join))
@example("a/../b")
def test_a_clean_path_cannot_leave_its_root(path: str) -> None:
    try:
        clean_path(path)
    except ValueError:
        return
    assert not path.startswith("/")
    assert not {"..", ".", ""} & set(path.split("/"))
    assert not {"\\", "\0", "\n"} & set(path)
    assert PurePosixPath(path).as_posix() == path


@pytest.mark.parametrize("path", ["", ".", "..", "/a", "a/", "a//b", "./a", "a/./b", "a/../b", "a\\b", "a\0", "a\nb"])
def test_an_unclean_path(path: str) -> None:
    with pytest.raises(ValueError, match="not a clean relative path"):
        clean_path(path)


def test_a_suite_is_found_by_path_or_by_name_in_the_first_folder_that_has_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_suite(folder, master([task()]))
    only = write_suite(second, master([task()], name="only"))
    assert find_suite("bugs_master", [first, second]) == first / "bugs_master.json"
    assert find_suite("only.json", [first, second]) == only
    assert find_suite(str(only), []) == only
    with pytest.raises(SuiteError, match=r"no suite 'other'.*bugs_master, only"):
        find_suite("other", [first, second])


def test_every_paraphrase_names_the_program_and_the_tests() -> None:
    subject = Task.model_validate(task())
    texts = {paraphrase(subject, len(TEMPLATES), seed) for seed in range(500)}
    assert len(texts) == len(TEMPLATES) >= 8
    assert all("python_programs/double.py" in t and "python_testcases/test_double.py" in t for t in texts)


def test_a_paraphrase_depends_on_seed_and_task_alone() -> None:
    subject, other = Task.model_validate(task()), Task.model_validate(task("add"))
    assert paraphrase(subject, 0, seed=7) == subject.goal
    assert paraphrase(subject, 8, seed=7) == paraphrase(subject, 8, seed=7)
    chosen = [[paraphrase(t, 8, seed).replace(t.name, "") for seed in range(20)] for t in (subject, other)]
    assert chosen[0] != chosen[1]
    assert len(set(chosen[0])) > 1
    with pytest.raises(UsageError, match="99 goal paraphrases"):
        paraphrase(subject, 99, 0)


def test_a_paraphrase_names_the_command_where_it_names_no_test_file() -> None:
    subject = Task.model_validate(task(command=["python", "-m", "pytest", "-q"]))
    assert "`python -m pytest -q`" in paraphrase(subject, 1, 0)


def test_the_bundled_quixbugs_suites_are_what_was_measured() -> None:
    whole, train, heldout = (
        load_suite(find_suite(f"quixbugs_{split}", [bundled.suites_dir()])) for split in ("master", "train", "heldout")
    )
    assert (len(whole.tasks), len(train.tasks), len(heldout.tasks)) == (40, 27, 13)
    assert sum(t.expected_tests.passed for t in whole.tasks) == 276
    assert {t.name: t.expected_tests.skipped for t in whole.tasks if t.expected_tests.skipped} == {
        "knapsack": 1,
        "levenshtein": 1,
    }
    classes = Counter(t.metadata.defect_class for t in whole.tasks)
    assert sorted(classes.values()) == [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 5, 5, 6]  # Table 1 of the QuixBugs paper
    for t in whole.tasks:
        assert f"python_programs/{t.name}.py" in t.goal
        assert f"python_testcases/test_{t.name}.py" in t.goal
        assert not any(path.startswith(("correct_", "java")) for path in t.files)
        assert sum(path.startswith("python_programs/") for path in t.files) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"command": ["make", "test"]}, "command other than python -m pytest"),
        ({"editable": ["tests/"]}, "python_programs/double.py, which is not editable"),
    ],
)
def test_a_task_that_no_model_could_pass_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = write_suite(tmp_path, master([task(**change)]))
    with pytest.raises(SuiteError, match=says):
        load_suite(path)
