def tokenize(text):
    """Split a formula into tokens: words of letters and digits, and single other characters. Blanks only separate.

    >>> tokenize("rate1 * (20+x)")
    ['rate1', '*', '(', '20', '+', 'x', ')']
    """
    tokens = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        end = position + 1
        while text[position].isalnum() and end < len(text) and text[end].isalnum():
            end += 1
        tokens.append(text[position:end])
        position = end
    return tokens
