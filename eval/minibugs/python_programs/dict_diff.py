def dict_diff(old, new):
    """Compare two dictionaries.

    The result has three dictionaries: "added" and "removed" with the entries that only one of the two has, and
    "changed" with (value in old, value in new) of each key whose value differs.

    >>> dict_diff({"a": 1, "b": 2}, {"b": 3, "c": 4})
    {'added': {'c': 4}, 'removed': {'a': 1}, 'changed': {'b': (2, 3)}}
    """
    diff = {"added": {}, "removed": {}, "changed": {}}
    for key in {**old, **new}:
        if key not in old:
            diff["added"][key] = new[key]
        elif key not in new:
            diff["removed"][key] = old[key]
        elif old[key] != new[key]:
            diff["changed"][key] = (new[key], old[key])
    return diff
