def parse_duration(text):
    """Turn a duration such as 1h30m into seconds.

    It is any number of whole numbers, each followed by h, m or s. Anything else raises ValueError.

    >>> parse_duration("1h30m15s")
    5415
    """
    seconds = {"h": 3600, "m": 60, "s": 1}
    total = 0
    number = None
    for char in text:
        if char.isdigit():
            number = int(char)
        elif char in seconds and number is not None:
            total += number * seconds[char]
            number = None
        else:
            raise ValueError(f"{text!r} is not a duration")
    if number is not None:
        raise ValueError(f"{text!r} lacks its last unit")
    return total
