def int_to_roman(number):
    """Write a number from 1 to 3999 as a Roman numeral; any other number raises ValueError.

    >>> int_to_roman(1944)
    'MCMXLIV'
    """
    if not 1 <= number <= 3999:
        raise ValueError(f"{number} has no Roman numeral")
    table = [
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"),
        (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
        (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ]
    numeral = ""
    for value, letters in table:
        count, number = divmod(number, value)
        numeral += letters * count
    return numeral
