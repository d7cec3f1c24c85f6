import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.longest_window import longest_window
else:
    from python_programs.longest_window import longest_window


@pytest.mark.parametrize(("arguments", "expected"), load_cases("longest_window"))
def test_longest_window(arguments, expected):
    assert longest_window(*arguments) == expected
