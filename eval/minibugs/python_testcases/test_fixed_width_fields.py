import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.fixed_width_fields import fixed_width_fields
else:
    from python_programs.fixed_width_fields import fixed_width_fields


@pytest.mark.parametrize(("arguments", "expected"), load_cases("fixed_width_fields"))
def test_fixed_width_fields(arguments, expected):
    assert fixed_width_fields(*arguments) == expected
