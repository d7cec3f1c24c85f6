def split_cents(cents, people):
    """Split an amount of money into whole cents, as evenly as possible.

    The shares differ by one cent at most, the larger ones come first, and they add up to the amount. With no people
    it raises ValueError.

    >>> split_cents(1000, 3)
    [334, 333, 333]
    """
    if people < 1:
        raise ValueError("there is nobody to pay")
    share, extra = divmod(cents, people)
    return [share + 1] * extra + [share] * (people - share)
