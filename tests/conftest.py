from __future__ import annotations

from pathlib import Path

import pytest

import pytest_repoagent.session  # noqa: F401 - pytester forgets what it imports, and DuckDB cannot be imported twice
from pytest_repoagent.workspace import Workspace

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    """Machines are shared and noisy: an example that takes long is no finding."""
    if config.pluginmanager.hasplugin("hypothesispytest"):  # not where only the evaluation is installed
        from hypothesis import HealthCheck, settings

        settings.register_profile("noisy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("noisy")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A small workspace of three text files and a binary one."""
    root = tmp_path / "pristine"
    files = {
        "src/area.py": b"def area(w, h):\n    return w + h\n",
        "tests/test_area.py": b"from src.area import area\n\n\ndef test_area():\n    assert area(2, 3) == 6\n",
        "README.md": "caf\u00e9\r\nsecond line\r\n".encode(),
        "logo.bin": b"\x89PNG\0\0\0",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return Workspace(root, files, ["src/"])
