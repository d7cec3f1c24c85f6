"""What the model may say, how it is read, and how a conversation is written. Pure: no files, no clock.

``actions`` holds the types, ``parse`` reads a reply strictly and totally, ``render`` is the one renderer of
prompts and messages, used by the live agent and by every exporter.
"""
