def bowling_score(rolls):
    """Score a complete game of ten-pin bowling.

    A frame is two rolls, or one that knocks down all ten pins (a strike). A strike also counts the next two rolls,
    ten pins in two rolls (a spare) the next one. There are ten frames; rolls after the tenth are only there to be
    counted by a strike or spare in it.

    >>> bowling_score([10, 3, 4] + [0] * 16)
    24
    """
    score = index = frame = 0
    while index < len(rolls):
        frame += 1
        if rolls[index] == 10:
            score += 10 + rolls[index + 1] + rolls[index + 2]
            index += 1
        else:
            pins = rolls[index] + rolls[index + 1]
            score += pins + rolls[index + 2] if pins == 10 else pins
            index += 2
    return score
