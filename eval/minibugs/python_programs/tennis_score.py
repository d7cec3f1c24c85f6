def tennis_score(first, second):
    """Say the score of a tennis game after each player has won so many points.

    A player with at least four points and at least two more than the other has won: "game first" or "game second".
    Otherwise, once both have three points, the score is "deuce" or "advantage first" or "advantage second". Before
    that, points are called love, 15, 30 and 40.

    >>> tennis_score(3, 1)
    '40-15'
    """
    leader = "first" if first > second else "second"
    if max(first, second) >= 4 and abs(first - second) > 2:
        return f"game {leader}"
    if min(first, second) >= 3:
        return "deuce" if first == second else f"advantage {leader}"
    names = ["love", "15", "30", "40"]
    return f"{names[first]}-{names[second]}"
