"""Tests and candidate in processes of their own: only plain data crosses between them, over one socket.

The judge runs the unmodified tests and trusts nothing that the worker sends; the worker runs the candidate. ``graph``
turns values into JSON and back, ``peer`` is the conversation, ``faults`` carries exceptions, ``standins`` are what a
process holds in place of the other's functions and objects. ``worker`` is the candidate's side; ``proxies`` is the
judge's, with ``watch`` for what a test does behind its back. Standard library only.
"""
