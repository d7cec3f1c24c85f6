import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.runoff_winner import runoff_winner
else:
    from python_programs.runoff_winner import runoff_winner


@pytest.mark.parametrize(("arguments", "expected"), load_cases("runoff_winner"))
def test_runoff_winner(arguments, expected):
    assert runoff_winner(*arguments) == expected
