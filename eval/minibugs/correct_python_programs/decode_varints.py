def decode_varints(data):
    """Read the whole numbers out of bytes that hold them one after the other, seven bits a byte.

    The lowest seven bits of a number come first. The eighth bit (128) is set in every byte of a number but its last.

    >>> decode_varints(bytes([5, 172, 2, 7]))
    [5, 300, 7]
    """
    numbers = []
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        if byte & 128:
            shift += 7
        else:
            numbers.append(value)
            value = 0
            shift = 0
    return numbers
