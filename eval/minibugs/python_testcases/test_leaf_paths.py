import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.leaf_paths import leaf_paths
else:
    from python_programs.leaf_paths import leaf_paths


def tree(value, *children):
    return Node(value, children=children)


def test_single_node():
    assert list(leaf_paths(tree("top"))) == [["top"]]


def test_two_leaves():
    assert list(leaf_paths(tree(1, tree(2), tree(3)))) == [[1, 2], [1, 3]]


def test_chain():
    assert list(leaf_paths(tree(1, tree(2, tree(3, tree(4)))))) == [[1, 2, 3, 4]]


def test_leaves_at_different_heights():
    assert list(leaf_paths(tree(1, tree(2), tree(3, tree(4))))) == [[1, 2], [1, 3, 4]]


def test_equal_values():
    assert list(leaf_paths(tree(0, tree(0), tree(0)))) == [[0, 0], [0, 0]]


def test_number_of_leaves():
    assert len(list(leaf_paths(tree(1, tree(2, tree(3), tree(4)), tree(5))))) == 3


def test_lazy():
    paths = leaf_paths(tree("a", tree("b"), tree("c")))
    assert next(paths) == ["a", "b"]
    assert next(paths) == ["a", "c"]
    with pytest.raises(StopIteration):
        next(paths)
