import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.merge_intervals import merge_intervals
else:
    from python_programs.merge_intervals import merge_intervals


@pytest.mark.parametrize(("arguments", "expected"), load_cases("merge_intervals"))
def test_merge_intervals(arguments, expected):
    assert merge_intervals(*arguments) == expected
