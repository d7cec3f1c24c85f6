def csv_fields(line):
    """Split a line of comma-separated values into its fields.

    A comma between double quotes belongs to the field. The quotes themselves do not; there is no way to write one.

    >>> csv_fields('1,"Oslo, Norway",x')
    ['1', 'Oslo, Norway', 'x']
    """
    fields = [""]
    quoted = False
    for char in line:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            fields.append("")
        else:
            fields[-1] += char
    return fields
