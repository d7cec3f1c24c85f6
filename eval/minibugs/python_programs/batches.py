def batches(items, size):
    """Yield the items in lists of the given size; the last list may be shorter, but never empty.

    The items may come from any iterable, and no more of them are taken than the lists asked for need.

    >>> list(batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch.clear()
    if batch:
        yield batch
