import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.moving_average import moving_average
else:
    from python_programs.moving_average import moving_average


@pytest.mark.parametrize(("arguments", "expected"), load_cases("moving_average"))
def test_moving_average(arguments, expected):
    assert moving_average(*arguments) == expected
