def life_step(grid):
    """Make one step of Conway's Game of Life on a board whose edges are joined.

    The rows are strings of "#" (alive) and "." (dead), all of one length; the cell right of the last column is in
    the first one, the cell below the last row in the top one. A cell lives next if three of its eight neighbours
    are alive, or if two are and it lives now.

    >>> life_step([".....", "..#..", "..#..", "..#..", "....."])
    ['.....', '.....', '.###.', '.....', '.....']
    """
    height, width = len(grid), len(grid[0])
    around = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    after = []
    for row in range(height):
        line = ""
        for column in range(width):
            cells = [grid[(row + down) % height][(column + right) % height] for down, right in around]
            alive = cells.count("#")
            line += "#" if alive == 3 or (alive == 2 and grid[row][column] == "#") else "."
        after.append(line)
    return after
