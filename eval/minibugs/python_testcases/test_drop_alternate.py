import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.drop_alternate import drop_alternate
else:
    from python_programs.drop_alternate import drop_alternate


def linked(values):
    head = None
    for value in reversed(values):
        head = Node(value, head)
    return head


def unlinked(node):
    values = []
    while node is not None:
        values.append(node.value)
        node = node.next
    return values


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([], []),
        ([1], [1]),
        ([1, 2], [1]),
        ([1, 2, 3], [1, 3]),
        ([1, 2, 3, 4], [1, 3]),
        (["a", "b", "c", "d", "e"], ["a", "c", "e"]),
        ([7, 7, 7, 7, 7, 7], [7, 7, 7]),
    ],
)
def test_what_is_left(values, left):
    assert unlinked(drop_alternate(linked(values))) == left


def test_nodes_stay_the_same():
    third = Node(3)
    first = Node(1, Node(2, third))
    assert drop_alternate(first) is first
    assert first.next is third
