"""Which of a task's files are the program under test: the ones that the judge takes from the agent."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

_SETUP_FILES = frozenset(
    {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg"}
    | {"pyproject.toml", "sitecustomize.py", "usercustomize.py"}
)


def is_program_file(path: str, editable: Sequence[str]) -> bool:
    """Whether ``path`` is below one of the prefixes ``editable``, and neither a test nor a set-up file."""
    name = posixpath.basename(path)
    is_test = name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))
    return path.startswith(tuple(editable)) and name not in _SETUP_FILES and not is_test
