import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.collapse_path import collapse_path
else:
    from python_programs.collapse_path import collapse_path


@pytest.mark.parametrize(("arguments", "expected"), load_cases("collapse_path"))
def test_collapse_path(arguments, expected):
    assert collapse_path(*arguments) == expected
