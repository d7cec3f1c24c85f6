import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.elimination_order import elimination_order
else:
    from python_programs.elimination_order import elimination_order


@pytest.mark.parametrize(("arguments", "expected"), load_cases("elimination_order"))
def test_elimination_order(arguments, expected):
    assert elimination_order(*arguments) == expected
