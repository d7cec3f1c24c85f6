import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.format_thousands import format_thousands
else:
    from python_programs.format_thousands import format_thousands


@pytest.mark.parametrize(("arguments", "expected"), load_cases("format_thousands"))
def test_format_thousands(arguments, expected):
    assert format_thousands(*arguments) == expected
