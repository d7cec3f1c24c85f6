import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.run_length_decode import run_length_decode
else:
    from python_programs.run_length_decode import run_length_decode


@pytest.mark.parametrize(("arguments", "expected"), load_cases("run_length_decode"))
def test_run_length_decode(arguments, expected):
    assert run_length_decode(*arguments) == expected
