from collections import deque


def print_queue(priorities):
    """Return the positions of print jobs in the order in which they are printed.

    The job at the front of the queue is printed, unless one behind it has a greater priority: then it goes to the
    end of the queue.

    >>> print_queue([2, 1, 3, 2])
    [2, 3, 0, 1]
    """
    queue = deque(enumerate(priorities))
    order = []
    while queue:
        position, priority = queue.popleft()
        if any(other > priority for _, other in queue):
            queue.append((position, priority))
        else:
            order.append(position)
    return order
