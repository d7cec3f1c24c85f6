def edit_session(commands):
    """Return the entries that are left after the commands.

    "undo" takes the last entry away, "redo" puts back what was undone last, and neither does anything where there is
    nothing to undo or redo. Any other command is a new entry, after which nothing can be redone.

    >>> edit_session(["red", "green", "undo", "blue", "undo", "redo"])
    ['red', 'blue']
    """
    done = []
    undone = []
    for command in commands:
        if command == "undo":
            if done:
                undone.append(done.pop())
        elif command == "redo":
            if undone:
                done.append(undone.pop())
        else:
            done.append(command)
            undone.clear()
    return done
