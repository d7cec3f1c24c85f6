from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.workspace import MAX_WRITE_CHARS, Refused, Workspace, normalise


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "empty_value"),
        (" \t", "empty_value"),
        ("/etc/passwd", "path_absolute"),
        ("~/x", "path_absolute"),
        ("C:\\x", "path_absolute"),
        ("\\\\server\\share", "path_absolute"),
        ("..", "path_escape"),
        ("src/../../x", "path_escape"),
        ("src\\..\\..\\x", "path_escape"),
        ("a\0b", "path_escape"),
        ("a\nb", "path_escape"),
        ("x/" * 200, "path_escape"),
        ("n" * 256, "path_escape"),
        ("\u4e00" * 90, "path_escape"),
    ],
)
def test_a_path_that_leaves_the_repository_is_refused_by_every_tool(workspace: Workspace, path: str, code: str) -> None:
    for ask in (workspace.paths, lambda p: workspace.excerpt(p, 10), lambda p: workspace.write(p, "x")):
        with pytest.raises(Refused) as refused:
            ask(path)
        assert refused.value.code == code
    assert workspace.written == {}


@given(st.text(max_size=40))
def test_a_normalised_path_stays_inside_and_normalises_to_itself(path: str) -> None:
    try:
        clean = normalise(path)
    except Refused:
        return
    assert not clean.startswith(("/", "../", "~"))
    assert ".." not in clean.split("/")
    assert "\\" not in clean
    assert normalise(clean) == clean


def test_reading_reaches_only_the_listed_files(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("key = 1")
    (tmp_path / "a.py").write_text("a")
    workspace = Workspace(tmp_path, ["a.py"], [""])
    assert workspace.paths() == ["a.py"]
    with pytest.raises(Refused, match=r"there is no file secret\.py"):
        workspace.excerpt("secret.py", 10)


def test_a_link_put_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        Workspace(root, ["a.py"], [""]).excerpt("a.py", 10)


def test_an_excerpt_says_when_it_is_cut(workspace: Workspace) -> None:
    whole = workspace.excerpt("src/area.py", 1000)
    assert whole.text == "def area(w, h):\n    return w + h\n"
    assert not whole.cut
    part = workspace.excerpt("src/area.py", 3)
    assert (part.text, part.cut, part.size) == ("def", True, 33)
    assert workspace.excerpt("README.md", 5).text == "caf\u00e9\r"


def test_a_huge_file_is_read_only_as_far_as_needed(tmp_path: Path) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        file.write(b"x" * 100)
        file.truncate(1 << 40)  # a terabyte, sparse
    excerpt = Workspace(tmp_path, ["big.txt"], [""]).excerpt("big.txt", 20)
    assert excerpt.text == "x" * 20
    assert excerpt.size == 1 << 40
    assert Workspace(tmp_path, ["big.txt"], [""]).data("big.txt", 1000) is None


def test_binary_and_missing_files_and_directories_are_refused_by_name(workspace: Workspace) -> None:
    for path, code in [("logo.bin", "binary_file"), ("src", "is_directory"), (".", "is_directory")]:
        with pytest.raises(Refused) as refused:
            workspace.excerpt(path, 10)
        assert refused.value.code == code
    with pytest.raises(Refused, match=r"there is src/area\.py") as refused:
        workspace.excerpt("src/aera.py", 10)
    assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("src", "x", "is_directory"),
        ("src/area.py/deeper.py", "x", "is_directory"),
        (".git/config", "x", "protected_path"),
        ("src/area.py", "x" * (MAX_WRITE_CHARS + 1), "too_large"),
        ("src/area.py", "\ud800", "binary_file"),
    ],
)
def test_a_write_that_cannot_be_done_changes_nothing(workspace: Workspace, path: str, content: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        workspace.write(path, content)
    assert refused.value.code == code
    assert workspace.touched() == ()


def test_a_write_is_seen_by_later_calls_and_never_reaches_the_disk(workspace: Workspace, tmp_path: Path) -> None:
    assert workspace.write("./src//new.py", "n = 1\n") == "src/new.py"
    assert workspace.paths("src") == ["src/area.py", "src/new.py"]
    assert workspace.excerpt("src/new.py", 100).text == "n = 1\n"
    assert not (tmp_path / "pristine/src/new.py").exists()


def test_only_editable_changed_files_are_candidates(workspace: Workspace) -> None:
    workspace.write("src/area.py", "def area(w, h):\n    return w * h\n")
    workspace.write("src/conftest.py", "import os")
    workspace.write("tests/test_area.py", "def test_area(): pass\n")
    workspace.write("json.py", "")
    assert workspace.candidate() == {"src/area.py": workspace.written["src/area.py"]}
    assert workspace.touched() == ("json.py", "src/area.py", "src/conftest.py", "tests/test_area.py")


def test_writing_the_pristine_text_touches_nothing(workspace: Workspace) -> None:
    workspace.write("src/area.py", "def area(w, h):\n    return w + h\n")
    assert workspace.touched() == ()
    assert workspace.diff() == ""


def test_the_diff_shows_changed_and_new_files(workspace: Workspace) -> None:
    workspace.write("src/area.py", "def area(w, h):\n    return w * h")
    workspace.write("n.py", "")
    workspace.write("m.py", "m\n")
    assert workspace.diff() == (
        "--- /dev/null\n+++ b/m.py\n@@ -0,0 +1 @@\n+m\n"
        "--- a/src/area.py\n+++ b/src/area.py\n@@ -1,2 +1,2 @@\n def area(w, h):\n-    return w + h\n"
        "+    return w * h\n\\ No newline at end of file\n"
    )


def test_a_file_too_large_to_be_replaced_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        file.truncate(1 << 40)
    workspace = Workspace(tmp_path, ["big.txt"], [""])
    assert workspace.text("big.txt") is None
    with pytest.raises(Refused, match="too large to be replaced"):
        workspace.write("big.txt", "x")


def test_tests_are_not_candidates_even_below_an_editable_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, [], ["src/"])
    for name in ("src/test_a.py", "src/a_test.py", "src/latest.py"):
        workspace.write(name, "x")
    assert list(workspace.candidate()) == ["src/latest.py"]
