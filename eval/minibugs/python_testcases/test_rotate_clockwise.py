import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.rotate_clockwise import rotate_clockwise
else:
    from python_programs.rotate_clockwise import rotate_clockwise


@pytest.mark.parametrize(("arguments", "expected"), load_cases("rotate_clockwise"))
def test_rotate_clockwise(arguments, expected):
    assert rotate_clockwise(*arguments) == expected
