def roman_to_int(numeral):
    """Read a Roman numeral in capital letters.

    A letter that stands before one of greater value is subtracted, every other letter is added.

    >>> roman_to_int("MCMXXIV")
    1924
    """
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    for index, letter in enumerate(numeral):
        value = values[letter]
        following = values[numeral[index + 1]] if index + 1 < len(numeral) else 0
        if value < following:
            total -= value
        else:
            total += value
    return total
