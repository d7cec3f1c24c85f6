import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.tennis_score import tennis_score
else:
    from python_programs.tennis_score import tennis_score


@pytest.mark.parametrize(("arguments", "expected"), load_cases("tennis_score"))
def test_tennis_score(arguments, expected):
    assert tennis_score(*arguments) == expected
