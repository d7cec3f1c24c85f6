def sum_region(grid, top, left, bottom, right):
    """Add up the numbers in a rectangle of a grid, its corner cells included.

    sums[i][j] holds the sum of the first j numbers of each of the first i rows, so four look-ups are enough.

    >>> sum_region([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 1, 1, 2, 2)
    28
    """
    sums = [[0] * (len(grid[0]) + 1)]
    for row in grid:
        above = sums[-1]
        line = [0]
        for column, value in enumerate(row):
            line.append(value + line[column] + above[column + 1] - above[column])
        sums.append(line)
    inside = sums[bottom + 1][right + 1] + sums[top][left]
    outside = sums[top][right + 1] + sums[bottom][left]
    return inside - outside
