def fixed_width_fields(line, widths):
    """Cut a line into columns of the given widths, without the blanks around each field.

    What a short line lacks is empty, what a long line has too much is ignored.

    >>> fixed_width_fields("ann   42 oslo", [6, 3, 4])
    ['ann', '42', 'oslo']
    """
    fields = []
    start = 0
    for width in widths:
        fields.append(line[start:width].strip())
        start += width
    return fields
