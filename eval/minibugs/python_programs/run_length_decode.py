def run_length_decode(code):
    """Write out a run-length code: each character as often as the number before it says.

    A character without a number stands for itself, once.

    >>> run_length_decode("3ab12c")
    'aaabcccccccccccc'
    """
    pieces = []
    start = 0
    for position, char in enumerate(code):
        if not char.isdigit():
            pieces.append(char * int(code[start:position] or "1"))
            start = position
    return "".join(pieces)
