"""What the installed plugin costs a pytest session that does not use it.

Runs a one-test session with and without the plugin in turn, and prints medians and their ratio. The floors beside
them are interpreters that stop at once, or import a package and stop. Plugins of other packages are not loaded.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 25
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
CASES = {
    "an interpreter": ["-c", ""],
    "import pytest_repoagent": ["-c", "import pytest_repoagent"],
    "import pytest_repoagent.plugin": ["-c", "import pytest_repoagent.plugin"],
    "import pytest": ["-c", "import pytest"],
    "without the plugin": ["-m", "pytest", "-q", "-p", "no:cacheprovider"],
    "with the plugin": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_repoagent.plugin"],
}


def measure(args: list[str], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, *args], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure in turn, so that noise falls on every case alike."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_one.py").write_text("def test_one():\n    pass\n")
        runs: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
        for _ in range(ROUNDS):
            for case, args in CASES.items():
                runs[case].append(measure(args, folder))
    medians = {case: [statistics.median(column) for column in zip(*some, strict=True)] for case, some in runs.items()}
    for case, (wall, cpu) in medians.items():
        print(f"{case:30} {1000 * wall:7.1f} ms wall {1000 * cpu:7.1f} ms CPU")
    ratios = [b / a for a, b in zip(medians["without the plugin"], medians["with the plugin"], strict=True)]
    print(f"{'with / without':30} {ratios[0]:7.3f}    wall {ratios[1]:7.3f}    CPU   (medians of {ROUNDS} in turn)")


if __name__ == "__main__":
    main()
