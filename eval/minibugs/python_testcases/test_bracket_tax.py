import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.bracket_tax import bracket_tax
else:
    from python_programs.bracket_tax import bracket_tax


@pytest.mark.parametrize(("arguments", "expected"), load_cases("bracket_tax"))
def test_bracket_tax(arguments, expected):
    assert bracket_tax(*arguments) == expected
