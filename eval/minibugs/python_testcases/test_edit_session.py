import pytest

if pytest.use_correct:
    from correct_python_programs.edit_session import edit_session
else:
    from python_programs.edit_session import edit_session


def test_nothing():
    assert edit_session([]) == []


def test_entries():
    assert edit_session(["red", "green"]) == ["red", "green"]


def test_undo():
    assert edit_session(["red", "green", "undo"]) == ["red"]


def test_nothing_to_undo():
    assert edit_session(["undo", "red"]) == ["red"]


def test_redo_in_order():
    assert edit_session(["red", "green", "undo", "undo", "redo", "redo", "redo"]) == ["red", "green"]


def test_no_redo_after_an_entry():
    assert edit_session(["red", "undo", "green", "redo"]) == ["green"]


def test_undo_after_an_entry():
    assert edit_session(["red", "green", "undo", "blue", "undo", "redo"]) == ["red", "blue"]


def test_only_the_last_undo_is_redone():
    assert edit_session(["red", "green", "undo", "blue", "undo", "redo", "redo"]) == ["red", "blue"]
