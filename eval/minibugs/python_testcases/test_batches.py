from itertools import count

import pytest

if pytest.use_correct:
    from correct_python_programs.batches import batches
else:
    from python_programs.batches import batches


@pytest.mark.parametrize(
    ("items", "size", "expected"),
    [
        ([], 3, []),
        ([1, 2], 3, [[1, 2]]),
        ([1, 2, 3], 3, [[1, 2, 3]]),
        ("abcde", 2, [["a", "b"], ["c", "d"], ["e"]]),
        (range(4), 1, [[0], [1], [2], [3]]),
        (range(6), 3, [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_batches(items, size, expected):
    assert list(batches(items, size)) == expected


def test_one_at_a_time():
    assert [sum(batch) for batch in batches([1, 2, 3, 4, 5], 2)] == [3, 7, 5]


def test_endless_items():
    numbers = count()
    assert next(batches(numbers, 4)) == [0, 1, 2, 3]
    assert next(numbers) == 4
