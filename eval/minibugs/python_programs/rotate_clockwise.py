def rotate_clockwise(grid):
    """Turn a grid by a quarter to the right: its first column, read upwards, becomes the first row.

    >>> rotate_clockwise([[1, 2, 3], [4, 5, 6]])
    [[4, 1], [5, 2], [6, 3]]
    """
    height, width = len(grid), len(grid[0])
    turned = []
    for column in range(width):
        turned.append([grid[column][height - 1 - row] for row in range(height)])
    return turned
