"""The processes of the warm runner. They run as a program of their own and use nothing but the standard library.

``server`` forks the candidate's process and talks to the driver; ``pytest_process`` forks everything that has pytest
in it; ``bootstrap`` starts the server; ``messages`` is how they talk.
"""
