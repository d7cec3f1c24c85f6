import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.life_step import life_step
else:
    from python_programs.life_step import life_step


@pytest.mark.parametrize(("arguments", "expected"), load_cases("life_step"))
def test_life_step(arguments, expected):
    assert life_step(*arguments) == expected
