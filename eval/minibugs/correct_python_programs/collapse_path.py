def collapse_path(path):
    """Shorten a relative path: no empty parts, no ".", and no ".." right after a part that it could cancel.

    What leads out of the starting folder stays; the starting folder itself is ".".

    >>> collapse_path("../a/./b//../c")
    '../a/c'
    """
    parts = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or "."
