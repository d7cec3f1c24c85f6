def format_thousands(number):
    """Write a whole number with a comma between groups of three digits.

    >>> format_thousands(-1234567)
    '-1,234,567'
    """
    digits = str(abs(number))
    for position in range(len(digits) - 3, -1, -3):
        digits = digits[:position] + "," + digits[position:]
    return "-" + digits if number < 0 else digits
