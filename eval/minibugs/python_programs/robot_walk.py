def robot_walk(commands):
    """Follow a robot on a grid and return the [x, y] where it ends.

    It starts at [0, 0] and looks north, in which y grows; x grows to the east. F moves it one cell forward, L and R
    turn it to the left and to the right on the spot.

    >>> robot_walk("FFRF")
    [1, 2]
    """
    x = y = 0
    dx, dy = 0, 1
    for command in commands:
        if command == "F":
            x += dx
            y += dy
        elif command == "L":
            dx, dy = -dx, dy
        elif command == "R":
            dx, dy = dy, -dx
    return [x, y]
