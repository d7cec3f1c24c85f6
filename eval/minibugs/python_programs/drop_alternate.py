def drop_alternate(head):
    """Take every second node out of a linked list and return its head, the same node as before.

    Nodes have a value and the next node, which is None at the end; an empty list is None.

    >>> drop_alternate(Node(1, Node(2, Node(3)))).next
    Node(3)
    """
    node = head
    while node is not None and node.next is not None:
        node.next = node.next.value
        node = node.next
    return head
