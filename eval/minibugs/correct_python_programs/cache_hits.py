def cache_hits(capacity, requests):
    """Count how many requests a cache answers that drops the least recently requested key when it is full.

    The cache holds capacity (at least one) keys and starts empty; every requested key is in it afterwards.

    >>> cache_hits(2, ["a", "b", "a", "c", "a", "b"])
    2
    """
    cache = {}
    hits = 0
    for key in requests:
        if key in cache:
            hits += 1
            del cache[key]
        elif len(cache) == capacity:
            oldest = next(iter(cache))
            del cache[oldest]
        cache[key] = True
    return hits
