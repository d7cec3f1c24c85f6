import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.free_slots import free_slots
else:
    from python_programs.free_slots import free_slots


@pytest.mark.parametrize(("arguments", "expected"), load_cases("free_slots"))
def test_free_slots(arguments, expected):
    assert free_slots(*arguments) == expected
