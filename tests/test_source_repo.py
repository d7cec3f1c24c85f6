from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from suite_kit import commit_all, git, master, write, write_suite

from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources import open_source
from pytest_repoagent.sources.base import Source, SourceContext
from pytest_repoagent.suites import Suite, load_suite
from pytest_repoagent.testrun.base import Job
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

PRICE = "src/parcels/price.py"
REPO_FILES = {
    PRICE: "def price(grams):\n    return grams * 3 // 2\n",
    "tests/test_price.py": (
        "from parcels.price import price\n\n\ndef test_even():\n    assert price(10) == 15\n\n\n"
        "def test_odd():\n    assert price(5) == 8\n"
    ),
    "pytest.ini": "[pytest]\npythonpath = src\n",
    "bin/tool": "#!/bin/sh\n",
}
FIXED = "def price(grams):\n    return (grams * 3 + 1) // 2\n"


@pytest.fixture
def parcels(tmp_path: Path) -> dict[str, Any]:
    """The suite of a repository made by hand, as the module's docstring shows it."""
    root = write(tmp_path / "parcels", REPO_FILES)
    (root / "bin/tool").chmod(0o755)
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("/etc")
    commit = commit_all(root)
    (root / PRICE).write_text(FIXED)
    fix_commit = commit_all(root)
    one = {
        "task_id": "parcels/rounding",
        "family": "price",
        "goal": f"Prices in {PRICE} are off by a cent; make tests/test_price.py pass.",
        "command": ["python", "-m", "pytest", "tests/test_price.py"],
        "editable": ["src/"],
        "expected_files": [PRICE],
        "fix_commit": fix_commit,
        "expected_tests": {"passed": 2},
        "metadata": {"difficulty": "easy", "category": "arithmetic", "defect_class": "rounding"},
    }
    return master([one], name="parcels", source="repo", repo="../parcels", commit=commit, split="heldout")


def open_repo(tmp_path: Path, value: dict[str, Any]) -> tuple[Source, Suite]:
    (tmp_path / "suites").mkdir(exist_ok=True)
    suite = load_suite(write_suite(tmp_path / "suites", value))
    return open_source(SourceContext(None, suite, tmp_path / "cache")), suite


@pytest.mark.parametrize("how", ["path", "url"])
def test_a_repository_serves_one_commit_and_its_fix(tmp_path: Path, parcels: dict[str, Any], how: str) -> None:
    if how == "url":
        parcels["repo"] = (tmp_path / "parcels").as_uri()
    source, suite = open_repo(tmp_path, parcels)
    (one,) = suite.tasks
    files = source.files(one)
    assert set(files.paths) == REPO_FILES.keys()  # no symbolic link, no .git
    assert sorted(path.name for path in files.root.iterdir()) == ["bin", "pytest.ini", "src", "tests"]
    assert os.access(files.root / "bin/tool", os.X_OK)
    assert source.fix(one) == {PRICE: FIXED}
    runner = SubprocessRunner()
    verdicts = [
        runner.run(Job(files.root, files.paths, candidate, one.command, one.expected_tests.passed))
        for candidate in ({}, source.fix(one))
    ]
    assert [verdict.passed for verdict in verdicts] == [False, True]
    assert verdicts[0].counts["passed"] == 1


def test_a_repository_is_checked_each_time(tmp_path: Path, parcels: dict[str, Any]) -> None:
    source, suite = open_repo(tmp_path, parcels)
    (source.files(suite.tasks[0]).root / PRICE).write_text(FIXED)
    with pytest.raises(SourceError, match=rf"price\.py is not as commit {suite.commit} has it: delete the folder"):
        open_repo(tmp_path, parcels)


@pytest.mark.parametrize(
    ("changes", "task_changes", "message"),
    [
        ({"repo": None}, {}, "needs the fields repo and commit"),
        ({"commit": None}, {}, "needs the fields repo and commit"),
        ({"repo": "../nowhere"}, {}, "there is no folder"),
        ({"commit": "c" * 40}, {}, "has no commit cccc"),
        ({}, {"fix_commit": "d" * 40}, "has no commit dddd"),
        ({}, {"files": {PRICE: "0" * 64}}, "but suite parcels pins 000000000000"),
        ({}, {"files": {"passwd": "0" * 64}}, "passwd is no file"),
    ],
)
def test_a_repository_that_is_not_as_the_suite_says(
    tmp_path: Path, parcels: dict[str, Any], changes: dict[str, Any], task_changes: dict[str, Any], message: str
) -> None:
    value = json.loads(json.dumps({**parcels, **changes}))
    value["tasks"][0] |= task_changes
    with pytest.raises(SourceError, match=message):
        open_repo(tmp_path, value)


@pytest.mark.parametrize(
    ("task_changes", "message"),
    [
        ({"fix_commit": None}, "parcels/rounding has no fix_commit"),
        ({"fix": {PRICE: "0" * 64}}, "parcels/rounding pins 000000000000"),
        ({"expected_files": ["src/new.py"]}, "git cat-file failed"),
    ],
)
def test_a_fix_that_is_not_there(
    tmp_path: Path, parcels: dict[str, Any], task_changes: dict[str, Any], message: str
) -> None:
    parcels["tasks"][0] |= task_changes
    source, suite = open_repo(tmp_path, parcels)
    with pytest.raises(SourceError, match=message):
        source.fix(suite.tasks[0])


def test_content_is_taken_as_committed_whatever_the_attributes_say(tmp_path: Path, parcels: dict[str, Any]) -> None:
    root = tmp_path / "parcels"
    git(root, "checkout", "--quiet", parcels["commit"])
    write(root, {".gitattributes": "tests export-ignore\n*.txt eol=crlf\n*.sub export-subst\n"})
    (root / "big.bin").write_bytes(bytes(range(256)) * 10 + b"\n")
    write(root, {"lines.txt": "a\nb\n", "x.sub": "$Format:%H$\n", "empty": "", "name with space\u00e9.txt": "x"})
    parcels["commit"] = commit_all(root)
    source, suite = open_repo(tmp_path, parcels)
    files = source.files(suite.tasks[0])
    assert (files.root / "lines.txt").read_bytes() == b"a\nb\n"
    assert (files.root / "x.sub").read_text() == "$Format:%H$\n"
    assert (files.root / "big.bin").read_bytes() == (root / "big.bin").read_bytes()
    assert {"empty", "name with space\u00e9.txt", "tests/test_price.py"} <= set(files.paths)


def test_more_files_than_one_batch(tmp_path: Path, parcels: dict[str, Any]) -> None:
    root = tmp_path / "parcels"
    write(root, {f"data/{i}.txt": f"{i}\n" * i for i in range(450)})
    parcels["commit"] = commit_all(root)
    source, suite = open_repo(tmp_path, parcels)
    files = source.files(suite.tasks[0])
    assert all((files.root / f"data/{i}.txt").read_text() == f"{i}\n" * i for i in range(450))
