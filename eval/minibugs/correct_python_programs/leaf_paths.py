def leaf_paths(node):
    """Yield, for each leaf of a tree from left to right, the list of the values from the top down to it.

    A node has a value and a list of children, which is empty at a leaf.

    >>> list(leaf_paths(Node(1, children=[Node(2), Node(3, children=[Node(4)])])))
    [[1, 2], [1, 3, 4]]
    """
    if not node.children:
        yield [node.value]
    for child in node.children:
        for path in leaf_paths(child):
            yield [node.value] + path
