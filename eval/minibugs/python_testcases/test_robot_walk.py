import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.robot_walk import robot_walk
else:
    from python_programs.robot_walk import robot_walk


@pytest.mark.parametrize(("arguments", "expected"), load_cases("robot_walk"))
def test_robot_walk(arguments, expected):
    assert robot_walk(*arguments) == expected
