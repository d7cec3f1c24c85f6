import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.print_queue import print_queue
else:
    from python_programs.print_queue import print_queue


@pytest.mark.parametrize(("arguments", "expected"), load_cases("print_queue"))
def test_print_queue(arguments, expected):
    assert print_queue(*arguments) == expected
