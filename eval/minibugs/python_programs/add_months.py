def add_months(year, month, day, months):
    """Move a date (Gregorian calendar) by whole months, forwards or backwards; returns (year, month, day).

    Where the new month is too short for the day, its last day is taken.

    >>> add_months(2023, 12, 31, 2)
    (2024, 2, 29)
    """
    year, month = divmod(12 * year + month - 1 + months, 12)
    month += 1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return year, month, day
