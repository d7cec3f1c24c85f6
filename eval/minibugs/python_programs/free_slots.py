def free_slots(meetings, opening, closing):
    """List the times between opening and closing in which no meeting takes place.

    Each meeting is [start, end] and lies within the opening hours; meetings come in any order, may overlap, and one
    may lie inside another. The result is a sorted list of [start, end] without empty slots.

    >>> free_slots([[13, 14], [9, 11]], 8, 18)
    [[8, 9], [11, 13], [14, 18]]
    """
    slots = []
    cursor = opening
    for start, end in sorted(meetings):
        if start > cursor:
            slots.append([cursor, start])
        cursor = end
    if cursor < closing:
        slots.append([cursor, closing])
    return slots
