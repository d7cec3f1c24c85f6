def merge_intervals(intervals):
    """Merge closed intervals that overlap or touch.

    Each interval is [start, end] with start <= end. Intervals that share at least one point, be it only an end
    point, become one. The result is sorted by start; the argument is not changed.

    >>> merge_intervals([[8, 9], [1, 3], [3, 5]])
    [[1, 5], [8, 9]]
    """
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged
