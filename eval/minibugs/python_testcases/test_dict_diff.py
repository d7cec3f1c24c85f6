import pytest

if pytest.use_correct:
    from correct_python_programs.dict_diff import dict_diff
else:
    from python_programs.dict_diff import dict_diff


@pytest.mark.parametrize(
    ("old", "new", "added", "removed", "changed"),
    [
        ({}, {}, {}, {}, {}),
        ({"a": 1}, {"a": 1}, {}, {}, {}),
        ({}, {"a": None}, {"a": None}, {}, {}),
        ({"a": 1, "b": 2}, {}, {}, {"a": 1, "b": 2}, {}),
        ({"a": 1}, {"a": 2}, {}, {}, {"a": (1, 2)}),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, {"c": 4}, {"a": 1}, {"b": (2, 3)}),
        ({"a": 0}, {"a": None}, {}, {}, {"a": (0, None)}),
    ],
)
def test_dict_diff(old, new, added, removed, changed):
    assert dict_diff(old, new) == {"added": added, "removed": removed, "changed": changed}
