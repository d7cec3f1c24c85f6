def rotated_minimum(values):
    """Find the smallest of distinct numbers that were sorted and then rotated by any number of places.

    It looks at about log2(len(values)) of them. An empty list raises ValueError.

    >>> rotated_minimum([7, 9, 1, 3, 4])
    1
    """
    if not values:
        raise ValueError("there is no minimum of nothing")
    low, high = 0, len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] > values[high]:
            low = middle + 1
        else:
            high = middle
    return values[low]
