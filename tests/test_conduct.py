from __future__ import annotations

import pytest

from pytest_repoagent.conduct import Conduct, content_flags, loops
from pytest_repoagent.protocol.actions import Final, ToolCall
from pytest_repoagent.workspace import Refused, Workspace


def read(path: str, size: int, **more: str) -> ToolCall:
    return ToolCall("read_file", {"rel_path": path, "max_chars": size, **more})


def write(path: str, content: str) -> ToolCall:
    return ToolCall("write_file", {"rel_path": path, "content": content})


def flags(workspace: Workspace, *actions: ToolCall | Final) -> list[tuple[str, ...]]:
    conduct, out = Conduct(), []
    for action in actions:
        out.append(conduct.flags(action, workspace))
        if isinstance(action, ToolCall):
            try:
                if action.name == "write_file":
                    workspace.write(str(action.args["rel_path"]), str(action.args["content"]))
            except Refused:
                continue
            conduct.executed(action, out[-1])
    return out


def test_the_same_look_again_is_an_exact_repeat_whatever_the_thought_or_spelling(workspace: Workspace) -> None:
    seen = flags(
        workspace, read("src/area.py", 50), read("./src//area.py", 50), read("src\\area.py", 50, thought="again")
    )
    assert seen == [(), ("exact_repeat",), ("exact_repeat",)]


def test_a_smaller_window_on_the_same_target_is_a_near_repeat_and_a_larger_one_is_none(workspace: Workspace) -> None:
    assert flags(workspace, read("src/area.py", 50), read("src/area.py", 20), read("src/area.py", 90)) == [
        (),
        ("near_repeat",),
        (),
    ]


@pytest.mark.parametrize(
    ("name", "target", "window"),
    [("grep", {"pattern": "x", "rel_dir": "."}, "max_hits"), ("list_files", {"rel_dir": "."}, "max_files")],
)
def test_near_repeats_of_the_other_tools(workspace: Workspace, name: str, target: dict[str, str], window: str) -> None:
    calls = [ToolCall(name, {**target, window: size}) for size in (5, 3, 5, 6)]
    assert flags(workspace, *calls) == [(), ("near_repeat",), ("exact_repeat",), ()]


def test_looking_again_after_a_change_is_no_loop(workspace: Workspace) -> None:
    look = read("src/area.py", 50)
    assert flags(workspace, look, write("src/area.py", "a = 1\n"), look)[2] == ()


def test_looking_again_after_a_write_that_changed_nothing_is_a_loop(workspace: Workspace) -> None:
    look = read("src/area.py", 50)
    same = write("src/area.py", "def area(w, h):\n    return w + h\n")
    assert flags(workspace, look, same, look) == [(), ("no_op_write",), ("exact_repeat",)]


def test_writing_the_same_code_again_is_a_loop_also_after_other_code(workspace: Workspace) -> None:
    a, b = write("src/area.py", "a = 1\n"), write("src/area.py", "a = 2\n")
    seen = flags(workspace, read("src/area.py", 50), a, b, a, a)
    assert seen == [(), (), (), ("exact_repeat",), ("exact_repeat", "no_op_write")]


def test_the_same_invalid_reply_again_is_a_loop() -> None:
    conduct = Conduct()
    assert [conduct.invalid(raw) for raw in ("a", "b", "a")] == [(), (), ("exact_repeat",)]


def test_a_write_to_an_unread_file_and_an_empty_handed_final_are_flagged(workspace: Workspace) -> None:
    done = Final("done", ())
    assert flags(workspace, done, write("src/area.py", "a = 1\n"), write("new.py", ""), done) == [
        ("premature_final",),
        ("write_before_read",),
        (),
        (),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x = 1\n", ()),
        ("def f(:\n", ("content_syntax_error",)),
        ("```python\nx = 1\n```", ("fence_or_line_numbers_in_content", "content_syntax_error")),
        ("1: x = 1\n2: y = 2\n3: z = 3\n", ("fence_or_line_numbers_in_content", "content_syntax_error")),
        ("def f():\n    pass\n# ... rest of the code unchanged\n", ("content_elided",)),
        ("def f():\n    pass\n    # existing code unchanged\n", ("content_elided",)),
        ("# the rest must be sorted\nx = 1\n", ()),
        ("a = [\n    [x for x in remaining],\n]\n", ()),
        ("# what is left is unchanged\nx = 1\n", ()),
        ("x = '''\n...\n'''\n", ()),
        ("p = '\\d'\n", ()),
        ("\0", ("content_syntax_error",)),
        ("(" * 500, ("content_syntax_error",)),
    ],
)
def test_content_flags(content: str, expected: tuple[str, ...]) -> None:
    assert content_flags("a.py", content) == expected


def test_only_repeats_are_loops() -> None:
    assert loops(("no_op_write", "near_repeat"))
    assert not loops(("no_op_write", "premature_final"))


def test_a_window_below_one_is_no_loop_the_first_time(workspace: Workspace) -> None:
    assert flags(workspace, read("src/area.py", -5), read("src/area.py", -5)) == [(), ("exact_repeat",)]


def test_a_refused_write_changes_nothing_so_looking_again_is_a_loop(workspace: Workspace) -> None:
    look = read("src/area.py", 50)
    assert flags(workspace, look, write(".git/x", "1"), look)[2] == ("exact_repeat",)
