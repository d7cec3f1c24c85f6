import pytest

if pytest.use_correct:
    from correct_python_programs.rotated_minimum import rotated_minimum
else:
    from python_programs.rotated_minimum import rotated_minimum


def test_empty():
    with pytest.raises(ValueError):
        rotated_minimum([])


@pytest.mark.parametrize(
    "values",
    [[5], [1, 2], [2, 1], [7, 9, 1, 3, 4], [1, 3, 4, 7, 9], [3, 4, 7, 9, 1], [-2, 0, 5, -9, -7, -4]],
)
def test_smallest(values):
    assert rotated_minimum(values) == min(values)


def test_every_rotation():
    values = list(range(10, 31))
    for places in range(len(values)):
        assert rotated_minimum(values[places:] + values[:places]) == 10
