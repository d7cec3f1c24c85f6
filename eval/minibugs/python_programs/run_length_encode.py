def run_length_encode(text):
    """Replace each run of equal characters by its length and the character.

    The length is left out where it is 1. The text holds no digits.

    >>> run_length_encode("aaabcc")
    '3ab2c'
    """
    pieces = []
    start = 0
    for end in range(1, len(text) + 1):
        if text[end] != text[start]:
            length = end - start
            pieces.append((str(length) if length > 1 else "") + text[start])
            start = end
    return "".join(pieces)
