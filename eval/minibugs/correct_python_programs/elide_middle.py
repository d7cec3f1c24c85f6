def elide_middle(text, width):
    """Shorten text to at most width characters (three or more) by putting "..." in place of its middle.

    As much is kept of the beginning as of the end, or one character more. Text that fits stays as it is.

    >>> elide_middle("abcdefghij", 8)
    'abc...ij'
    """
    if len(text) <= width:
        return text
    kept = width - 3
    tail = kept // 2
    head = kept - tail
    return text[:head] + "..." + text[len(text) - tail :]
