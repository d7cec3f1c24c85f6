def moving_average(values, size):
    """Average, at each position, the value there and those before it, at most size values (one or more) in all.

    >>> moving_average([2, 4, 6, 8], 2)
    [2.0, 3.0, 5.0, 7.0]
    """
    averages = []
    for end in range(1, len(values) + 1):
        window = values[max(0, end - size) : end]
        averages.append(sum(window) / len(window))
    return averages
