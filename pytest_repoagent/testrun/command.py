"""A task's test command, and the environment that tests run in."""

from __future__ import annotations

import os
import sys

from pytest_repoagent.errors import UsageError


def parse(command: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The interpreter (``python`` is the running one) and pytest's arguments.

    Raises:
        UsageError: the command is not ``python -m pytest ...``.
    """
    if len(command) < 3 or command[1:3] != ("-m", "pytest"):
        raise UsageError(
            f"The task's command {' '.join(command)!r} cannot be run: make it `python -m pytest` and arguments."
        )
    return (sys.executable if command[0] == "python" else command[0]), command[3:]


def environment(home: str) -> dict[str, str]:
    """Everything a test process sees of the environment: no secret of the driver's is in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "TMPDIR": home,
        "LOGNAME": "nobody",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
