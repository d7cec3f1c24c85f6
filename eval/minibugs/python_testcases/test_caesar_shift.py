import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.caesar_shift import caesar_shift
else:
    from python_programs.caesar_shift import caesar_shift


@pytest.mark.parametrize(("arguments", "expected"), load_cases("caesar_shift"))
def test_caesar_shift(arguments, expected):
    assert caesar_shift(*arguments) == expected
