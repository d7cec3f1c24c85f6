import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.run_length_encode import run_length_encode
else:
    from python_programs.run_length_encode import run_length_encode


@pytest.mark.parametrize(("arguments", "expected"), load_cases("run_length_encode"))
def test_run_length_encode(arguments, expected):
    assert run_length_encode(*arguments) == expected
