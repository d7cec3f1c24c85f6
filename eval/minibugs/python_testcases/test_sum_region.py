import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.sum_region import sum_region
else:
    from python_programs.sum_region import sum_region


@pytest.mark.parametrize(("arguments", "expected"), load_cases("sum_region"))
def test_sum_region(arguments, expected):
    assert sum_region(*arguments) == expected
