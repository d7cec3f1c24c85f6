import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.luhn_valid import luhn_valid
else:
    from python_programs.luhn_valid import luhn_valid


@pytest.mark.parametrize(("arguments", "expected"), load_cases("luhn_valid"))
def test_luhn_valid(arguments, expected):
    assert luhn_valid(*arguments) == expected
