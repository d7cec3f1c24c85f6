import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.bowling_score import bowling_score
else:
    from python_programs.bowling_score import bowling_score


@pytest.mark.parametrize(("arguments", "expected"), load_cases("bowling_score"))
def test_bowling_score(arguments, expected):
    assert bowling_score(*arguments) == expected
