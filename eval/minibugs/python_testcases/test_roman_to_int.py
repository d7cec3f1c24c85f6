import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.roman_to_int import roman_to_int
else:
    from python_programs.roman_to_int import roman_to_int


@pytest.mark.parametrize(("arguments", "expected"), load_cases("roman_to_int"))
def test_roman_to_int(arguments, expected):
    assert roman_to_int(*arguments) == expected
