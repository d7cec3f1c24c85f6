"""Tests and candidate in processes of their own: only plain data crosses between them, over one socket.

The *judge* runs the unmodified tests and trusts nothing that the *worker* sends, which runs the candidate. ``plain``,
``kinds``, ``packing``, ``unpacking``, ``retention`` and ``graph`` turn values into JSON and back and keep objects that
both know the same; ``faults`` and ``tracing`` carry exceptions, ``signatures`` signatures; ``standins`` are what a
process holds in place of the other's functions and objects; ``peer`` is the conversation. ``worker`` is the
candidate's side, with ``recorder`` for what a trusted program does that would not work there. ``proxies`` is the
judge's, with ``finder`` for imports, ``fabricate`` for tracebacks and ``watch`` for what tests do behind its back.
Standard library only.
"""
