from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent import tools
from pytest_repoagent.workspace import Refused, Workspace

EVIL = ["(a+)+$", "(a|aa)+$", "(.*a){20}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y", "((a*)*)*b"]


def call(workspace: Workspace, name: str, **args: Any) -> str:
    tool = next(tool for tool in tools.BUILT_IN if tool.spec.name == name)
    return tool.run(workspace, args)


def test_list_files_is_sorted_and_says_what_it_left_out(workspace: Workspace) -> None:
    assert call(workspace, "list_files", rel_dir=".", max_files=9) == (
        "README.md\nlogo.bin\nsrc/area.py\ntests/test_area.py"
    )
    assert call(workspace, "list_files", rel_dir=".", max_files=1) == "README.md\n[truncated: 3 more files]"
    assert call(workspace, "list_files", rel_dir="./src/", max_files=9) == "src/area.py"


def test_read_file_shows_the_text_and_says_when_it_is_cut(workspace: Workspace) -> None:
    assert call(workspace, "read_file", rel_path="src/area.py", max_chars=99) == "def area(w, h):\n    return w + h\n"
    assert call(workspace, "read_file", rel_path="src/area.py", max_chars=3) == (
        "def\n[truncated: the first 3 characters of 33 bytes]"
    )


@pytest.mark.parametrize(
    ("pattern", "hits"),
    [
        ("area", ["src/area.py:1:def area(w, h):", "tests/test_area.py:1:from src.area import area"]),
        ("^def", ["src/area.py:1:def area(w, h):", "tests/test_area.py:4:def test_area():"]),
        (r"h\)?:$", ["src/area.py:1:def area(w, h):"]),
        ("caf\u00e9", ["README.md:1:caf\u00e9"]),
        ("(?i)SECOND", ["README.md:2:second line"]),
        ("absent", ["no matches"]),
    ],
)
def test_grep_shows_path_line_and_text(workspace: Workspace, pattern: str, hits: list[str]) -> None:
    lines = call(workspace, "grep", pattern=pattern, rel_dir=".", max_hits=2).splitlines()
    assert [line for line in lines if not line.startswith("[")] == hits


def test_grep_says_what_it_left_out(workspace: Workspace) -> None:
    text = call(workspace, "grep", pattern="a", rel_dir=".", max_hits=1)
    assert text.splitlines()[1] == "[truncated: more than 1 matching lines]"
    assert "[not searched, binary or over 2097152 bytes: logo.bin]" in text


@given(st.sampled_from(EVIL))
def test_grep_ends_on_evil_patterns(pattern: str) -> None:
    evil = Workspace.__new__(Workspace)
    evil._root, evil._base, evil.written = None, frozenset(), {"a.txt": "a" * 50_000 + "!"}  # type: ignore[assignment]
    assert call(evil, "grep", pattern=pattern, rel_dir=".", max_hits=5)


@given(st.text(max_size=60))
def test_grep_takes_any_pattern_or_refuses_it(pattern: str) -> None:
    one = Workspace.__new__(Workspace)
    one._root, one._base, one.written = None, frozenset(), {"a.txt": "one\ntwo\n\nthree"}  # type: ignore[assignment]
    code = None
    try:
        lines = call(one, "grep", pattern=pattern, rel_dir=".", max_hits=9).splitlines()
    except Refused as refused:
        lines, code = [], refused.code
    numbers = [line.split(":")[1] for line in lines if line.startswith("a.txt:")]
    assert numbers == sorted(set(numbers))
    assert code in {None, "invalid_regex", "empty_value"}


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)", "(", "a{2000}", "x" * 1001])
def test_grep_refuses_what_re2_cannot_do(workspace: Workspace, pattern: str) -> None:
    with pytest.raises(Refused) as refused:
        call(workspace, "grep", pattern=pattern, rel_dir=".", max_hits=5)
    assert refused.value.code == "invalid_regex"


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("list_files", {"rel_dir": ".", "max_files": 0}),
        ("read_file", {"rel_path": "README.md", "max_chars": -1}),
        ("grep", {"pattern": "a", "rel_dir": ".", "max_hits": 0}),
    ],
)
def test_a_window_below_one_is_out_of_range(workspace: Workspace, name: str, args: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        call(workspace, name, **args)
    assert refused.value.code == "out_of_range"


def test_write_file_says_what_it_wrote(workspace: Workspace) -> None:
    assert call(workspace, "write_file", rel_path="./src/area.py", content="x = 1\n") == "Wrote src/area.py (6 chars)."
    for path in ("tests/test_area.py", "src/conftest.py"):
        text = call(workspace, "write_file", rel_path=path, content="x")
        assert text == f"Wrote {path} (1 chars). The tests do not use your version of this file."
