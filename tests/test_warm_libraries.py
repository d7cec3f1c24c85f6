from __future__ import annotations

import sysconfig
from pathlib import Path

from sandbox_kit import LANDLOCK, Place, needs_landlock

import pytest_repoagent
from pytest_repoagent.testrun.warm import libraries

PACKAGES = Path(sysconfig.get_path("purelib")).resolve()
INSTALLED = PACKAGES / "pytest"
"""Stands for this package where it is installed and not a checkout."""


@needs_landlock
def test_beside_the_hidden_package_everything_is_as_installed() -> None:
    place = Place(LANDLOCK, read=libraries.readable(INSTALLED), names=libraries.around(INSTALLED))
    look = (
        f"sys.path.append({str(PACKAGES)!r})\nimport importlib.metadata, pluggy\nimportlib.metadata.version('pluggy')"
    )
    assert place.said(look) == "done"
    assert place.said(f"open({str(INSTALLED / '__init__.py')!r})") == "EACCES"
    assert Place(LANDLOCK, read=libraries.readable(INSTALLED)).said(look) != "done"


def test_a_package_that_is_not_installed_needs_no_exception() -> None:
    checkout = Path(pytest_repoagent.__file__).resolve().parent
    assert libraries.around(checkout) == () or checkout.is_relative_to(PACKAGES)
    assert not [path for path in libraries.readable(INSTALLED) if INSTALLED.is_relative_to(path)]
