"""The one structure that tests of linked lists and trees build."""


class Node:
    """A value with the node that follows it in a list, or the nodes below it in a tree."""

    def __init__(self, value, next=None, children=()):
        self.value = value
        self.next = next
        self.children = list(children)

    def __repr__(self):
        return f"Node({self.value!r})"
