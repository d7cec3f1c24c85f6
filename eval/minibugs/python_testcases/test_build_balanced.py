import pytest

if pytest.use_correct:
    from correct_python_programs.build_balanced import build_balanced
else:
    from python_programs.build_balanced import build_balanced


def in_order(tree):
    return [] if tree is None else in_order(tree[0]) + [tree[1]] + in_order(tree[2])


def height(tree):
    return 0 if tree is None else 1 + max(height(tree[0]), height(tree[2]))


def test_empty():
    assert build_balanced([]) is None


def test_single():
    assert build_balanced([5]) == (None, 5, None)


def test_two():
    assert build_balanced([1, 2]) == ((None, 1, None), 2, None)


def test_three():
    assert build_balanced([1, 2, 3]) == ((None, 1, None), 2, (None, 3, None))


def test_equal_values():
    assert build_balanced([4, 4, 4]) == ((None, 4, None), 4, (None, 4, None))


def test_order_is_kept():
    values = list(range(0, 40, 3))
    assert in_order(build_balanced(values)) == values


def test_height_is_low():
    assert height(build_balanced(list(range(31)))) == 5
