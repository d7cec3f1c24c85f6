"""What the model may say, how it is read, and how a conversation is written. Pure: no files, no clock.

``actions`` holds the types, ``codes`` every error code, ``parse`` reads a reply strictly and totally, ``render`` is
the one renderer of prompts and messages, used by the live agent and by every exporter.

The agent reaches the protocol through ``render.opening``, ``parse.parse`` and the three replies of ``render``; a
second protocol (a provider's own tool calls) has these to provide and nothing else.
"""
