def luhn_valid(number):
    """Check the last digit of a card number, written as text, blanks allowed, by the Luhn formula.

    From the right, every second digit is doubled, and 9 taken off where that gives more than 9. All added up, the
    sum must be a multiple of ten. A number of fewer than two digits is not valid.

    >>> luhn_valid("4539 3195 0343 6467")
    True
    """
    digits = number.replace(" ", "")
    if len(digits) < 2:
        return False
    total = 0
    for position, char in enumerate(reversed(digits)):
        digit = char
        if position % 2 == 1:
            digit *= 2
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0
