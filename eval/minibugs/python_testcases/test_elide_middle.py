import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.elide_middle import elide_middle
else:
    from python_programs.elide_middle import elide_middle


@pytest.mark.parametrize(("arguments", "expected"), load_cases("elide_middle"))
def test_elide_middle(arguments, expected):
    assert elide_middle(*arguments) == expected
