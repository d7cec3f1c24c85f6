def build_balanced(values):
    """Make a binary search tree of low height from sorted values.

    A tree is (left tree, value, right tree) or None. The value at the top is the middle one, of two middle ones the
    greater; the trees below are made by the same rule.

    >>> build_balanced([1, 2, 3])
    ((None, 1, None), 2, (None, 3, None))
    """
    if not values:
        return None
    middle = len(values) // 2
    smaller = build_balanced(values[:middle])
    greater = build_balanced(values[middle + 1 :])
    return greater, values[middle], smaller
