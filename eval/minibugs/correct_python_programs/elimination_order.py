def elimination_order(people, step):
    """Say in which order people leave a circle in which every step-th one has to go.

    Counting starts with the first person as 1 and goes on with the one after whoever has just left.

    >>> elimination_order(["ann", "bob", "cy", "dee"], 3)
    ['cy', 'bob', 'dee', 'ann']
    """
    circle = list(people)
    order = []
    index = 0
    while circle:
        index = (index + step - 1) % len(circle)
        order.append(circle.pop(index))
    return order
