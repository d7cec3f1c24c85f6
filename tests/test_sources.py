from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from suite_kit import CORRECT, FILES, PINNED, commit_all, git, master, sha256, task, write, write_suite

from pytest_repoagent import bundled
from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources import SOURCES, open_source
from pytest_repoagent.sources import quixbugs as quixbugs_module
from pytest_repoagent.sources.base import Source, SourceContext, default_cache_dir
from pytest_repoagent.sources.bug_folder import BugFolder
from pytest_repoagent.suites import Suite, find_suite, load_suite

PROGRAM = "python_programs/double.py"


@pytest.fixture(autouse=True)
def _no_quixbugs_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUIXBUGS_ROOT", raising=False)


@pytest.fixture
def bugs(tmp_path: Path) -> Path:
    return write(tmp_path / "bugs", FILES)


def suite_of(tmp_path: Path, *tasks: dict[str, Any], **changes: Any) -> Suite:
    return load_suite(write_suite(tmp_path, master(tasks or [task()], **changes)))


def open_quixbugs(suite: Suite, quixbugs: Path | str | None = None) -> Source:
    given = str(quixbugs) if quixbugs is not None else None
    return open_source(SourceContext(given, suite, suite.path.parent / "cache"))


def contents(source: Source, suite: Suite) -> dict[str, str]:
    files = source.files(suite.tasks[0])
    return {path: (files.root / path).read_text() for path in files.paths}


def test_a_work_tree_is_used_where_it_lies(tmp_path: Path, bugs: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs")
    source = open_quixbugs(suite, bugs)
    files = source.files(suite.tasks[0])
    assert (files.root, files.paths) == (bugs, tuple(sorted(PINNED)))
    assert source.fix(suite.tasks[0]) == {PROGRAM: CORRECT}
    assert not (tmp_path / "cache").exists()


def test_a_changed_file_is_named_with_both_hashes(tmp_path: Path, bugs: Path) -> None:
    (bugs / "conftest.py").write_text("")
    suite = suite_of(tmp_path, source="quixbugs", commit="a" * 40)
    with pytest.raises(SourceError) as error:
        open_quixbugs(suite, bugs)
    for part in (str(bugs / "conftest.py"), sha256("")[:12], sha256(FILES["conftest.py"])[:12], "a" * 40):
        assert part in str(error.value)


@pytest.mark.parametrize("outside", [False, True])
def test_a_missing_file_or_one_that_lies_elsewhere(tmp_path: Path, bugs: Path, outside: bool) -> None:
    (bugs / "conftest.py").rename(tmp_path / "conftest.py")
    if outside:
        (bugs / "conftest.py").symlink_to(tmp_path / "conftest.py")
    with pytest.raises(SourceError, match=r"conftest\.py is no file"):
        open_quixbugs(suite_of(tmp_path, source="quixbugs"), bugs)


def test_a_task_without_files_or_fix(tmp_path: Path, bugs: Path) -> None:
    with pytest.raises(SourceError, match="bugs/double names no files"):
        open_quixbugs(suite_of(tmp_path, task(files={}), source="quixbugs"), bugs)
    suite = suite_of(tmp_path, task(fix={}), source="quixbugs")
    with pytest.raises(SourceError, match="bugs/double has no known fix"):
        open_quixbugs(suite, bugs).fix(suite.tasks[0])


def test_a_changed_fix(tmp_path: Path, bugs: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs")
    source = open_quixbugs(suite, bugs)
    (bugs / "correct_python_programs/double.py").write_text("def double(n): return 4\n")
    with pytest.raises(SourceError, match=r"correct_python_programs/double\.py has sha256"):
        source.fix(suite.tasks[0])


def test_the_environment_names_a_copy_and_the_option_goes_first(
    tmp_path: Path, bugs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of(tmp_path, source="quixbugs")
    monkeypatch.setenv("QUIXBUGS_ROOT", str(bugs))
    assert open_quixbugs(suite).files(suite.tasks[0]).root == bugs
    other = write(tmp_path / "other", FILES)
    assert open_quixbugs(suite, other).files(suite.tasks[0]).root == other


@pytest.mark.parametrize("kind", ["work tree without programs", "git directory", "bare clone", "url"])
def test_anything_else_is_asked_for_the_commit(tmp_path: Path, bugs: Path, kind: str) -> None:
    commit = commit_all(bugs)
    write(bugs, {PROGRAM: "def double(n):\n    return 0\n", ".gitattributes": "*.json export-ignore\n"})
    newer = commit_all(bugs)
    git(tmp_path, "clone", "--quiet", "--bare", str(bugs), "bare.git")
    git(bugs, "rm", "-r", "--quiet", "python_programs")
    places: dict[str, Path | str] = {
        "work tree without programs": bugs,
        "git directory": bugs / ".git",
        "bare clone": tmp_path / "bare.git",
        "url": bugs.as_uri(),
    }
    given = places[kind]
    suite = suite_of(tmp_path, source="quixbugs", commit=commit)
    source = open_quixbugs(suite, given)
    assert contents(source, suite) == {path: FILES[path] for path in PINNED}
    assert source.fix(suite.tasks[0]) == {PROGRAM: CORRECT}
    with pytest.raises(SourceError, match=r"double\.py has sha256"):
        open_quixbugs(suite_of(tmp_path, source="quixbugs", commit=newer), given)


def test_the_public_repository_is_cloned_once(tmp_path: Path, bugs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = commit_all(bugs)
    monkeypatch.setattr(quixbugs_module, "URL", bugs.as_uri())
    suite = suite_of(tmp_path, source="quixbugs", commit=commit)
    open_quixbugs(suite)
    monkeypatch.setattr(quixbugs_module, "URL", (tmp_path / "gone").as_uri())
    monkeypatch.setenv("QUIXBUGS_ROOT", "")
    assert open_quixbugs(suite).files(suite.tasks[0]).root == tmp_path / "cache/quixbugs" / commit


def test_without_a_copy_the_error_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quixbugs_module, "URL", (tmp_path / "gone").as_uri())
    suite = suite_of(tmp_path, source="quixbugs", commit="a" * 40)
    with pytest.raises(SourceError) as error:
        open_quixbugs(suite)
    for part in ("--quixbugs PATH|URL", "QUIXBUGS_ROOT", "--suite=minibugs_heldout", "git clone failed"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "cache").rglob("*") if "unfinished" in path.name] == []


def test_a_path_that_does_not_exist_is_no_reason_to_use_the_cache(tmp_path: Path, bugs: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit=commit_all(bugs))
    open_quixbugs(suite, bugs / ".git")
    with pytest.raises(SourceError, match="there is no folder nowhere"):
        open_quixbugs(suite, "nowhere")


def test_a_commit_that_is_not_there(tmp_path: Path, bugs: Path) -> None:
    commit_all(bugs)
    suite = suite_of(tmp_path, source="quixbugs", commit="b" * 40)
    for given in (bugs / ".git", bugs.as_uri()):
        with pytest.raises(SourceError, match="has no commit bbbb"):
            open_quixbugs(suite, given)


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit="b" * 40)
    with pytest.raises(SourceError, match="not a git repository"):
        open_quixbugs(suite, tmp_path)


def test_a_login_in_an_address_is_not_shown(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit="c" * 40)
    with pytest.raises(SourceError, match="git clone failed: unable to access 'http://127") as error:
        open_quixbugs(suite, "http://me:secret@127.0.0.1:9/x")
    assert "secret" not in str(error.value)


def test_a_commit_made_after_the_clone_is_fetched(tmp_path: Path, bugs: Path) -> None:
    open_quixbugs(suite_of(tmp_path, source="quixbugs", commit=commit_all(bugs)), bugs.as_uri())
    (bugs / "README").write_text("new")
    suite = suite_of(tmp_path, source="quixbugs", commit=commit_all(bugs))
    assert contents(open_quixbugs(suite, bugs.as_uri()), suite)


def test_an_address_that_would_run_a_command_is_refused(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit="a" * 40)
    with pytest.raises(SourceError, match="QuixBugs cannot be had"):
        open_quixbugs(suite, f"ext::touch% {tmp_path / 'ran'}")
    assert not (tmp_path / "ran").exists()


def test_a_git_hook_does_not_lead_git_astray(tmp_path: Path, bugs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit=commit_all(bugs))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert contents(open_quixbugs(suite, bugs / ".git"), suite)


def test_many_processes_at_once_make_one_cache(tmp_path: Path, bugs: Path) -> None:
    suite = suite_of(tmp_path, source="quixbugs", commit=commit_all(bugs))
    code = (
        "import sys; from pathlib import Path; from pytest_repoagent.sources import open_source;"
        "from pytest_repoagent.sources.base import SourceContext; from pytest_repoagent.suites import load_suite;"
        "suite = load_suite(Path(sys.argv[1]));"
        "print(open_source(SourceContext(sys.argv[2], suite, Path(sys.argv[3]))).files(suite.tasks[0]).root)"
    )
    command = [sys.executable, "-c", code, str(suite.path), bugs.as_uri(), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    results = [process.communicate() for process in running]
    assert results == [(f"{tmp_path}/cache/quixbugs/{suite.commit}\n", "")] * 6


def test_an_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source is 'bugs', but must be one of quixbugs, minibugs, repo"):
        open_quixbugs(suite_of(tmp_path))


def test_a_source_of_ones_own(tmp_path: Path, bugs: Path) -> None:
    own = BugFolder(bugs, suite_of(tmp_path))
    context = SourceContext(None, suite_of(tmp_path), tmp_path)
    assert open_source(context, {**SOURCES, "bugs": lambda _: own}) is own


def test_the_cache_lies_where_the_platform_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "pytest-repoagent"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache/pytest-repoagent"


@pytest.mark.skipif("QUIXBUGS_ROOT" not in os.environ, reason="QUIXBUGS_ROOT is unset")
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_the_real_quixbugs(split: str, tmp_path: Path, quixbugs_root: str) -> None:
    suite = load_suite(find_suite(f"quixbugs_{split}", [bundled.suites_dir()]))
    source = open_source(SourceContext(quixbugs_root, suite, tmp_path))
    assert all(source.fix(t).keys() == set(t.expected_files) for t in suite.tasks)


@pytest.fixture(scope="session")
def quixbugs_root() -> str:
    return os.environ["QUIXBUGS_ROOT"]
