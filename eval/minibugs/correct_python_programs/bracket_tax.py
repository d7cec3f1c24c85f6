def bracket_tax(income, brackets):
    """Compute an income tax in whole units of money; what is left of a unit is dropped.

    Each bracket is [upper limit, percent]. Its percentage is due on the part of the income between the limit before
    it (0 for the first) and its own. Limits rise, and the last is above any income.

    >>> bracket_tax(3500, [[1000, 0], [3000, 10], [99999, 20]])
    300
    """
    hundredths = lower = 0
    for upper, percent in brackets:
        if income > lower:
            hundredths += (min(income, upper) - lower) * percent
        lower = upper
    return hundredths // 100
