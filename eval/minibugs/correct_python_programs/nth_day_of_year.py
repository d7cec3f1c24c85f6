def nth_day_of_year(year, number):
    """Turn the number of a day within a year (Gregorian calendar, 1 is New Year's Day) into (month, day).

    A number that the year does not reach, or one below 1, raises ValueError.

    >>> nth_day_of_year(2024, 60)
    (2, 29)
    """
    if number < 1:
        raise ValueError(f"there is no day {number}")
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    for month, length in enumerate(lengths, start=1):
        if number <= length:
            return month, number
        number -= length
    raise ValueError(f"{year} is too short")
