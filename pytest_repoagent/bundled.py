"""Where the suites, bugs and items that come with the package lie: inside a wheel, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def suites_dir() -> Path:
    """The folder of the bundled suite files."""
    return _home() / "suites"


def minibugs_dir() -> Path:
    """The folder of our own buggy programs, in QuixBugs' layout."""
    return _home() / "minibugs"


def items_dir() -> Path:
    """The folder of the test file whose items are the rollouts; its conftest keeps pytest out of the bugs' tests."""
    return _home()


def _home() -> Path:
    inside = _PACKAGE / "bundled"
    return inside if inside.is_dir() else _PACKAGE.parent / "eval"
