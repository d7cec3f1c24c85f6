import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.csv_fields import csv_fields
else:
    from python_programs.csv_fields import csv_fields


@pytest.mark.parametrize(("arguments", "expected"), load_cases("csv_fields"))
def test_csv_fields(arguments, expected):
    assert csv_fields(*arguments) == expected
