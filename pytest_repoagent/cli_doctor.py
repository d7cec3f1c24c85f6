"""``repoagent doctor``: what keeps code that a model wrote from this machine, and what is missing."""

from __future__ import annotations

import argparse
import platform
import sys
from contextlib import closing
from importlib.metadata import version
from typing import Any

from pytest_repoagent.errors import UsageError

_PACKAGES = ("pytest-repoagent", "pytest", "pytest-xdist", "duckdb", "together")


def add_parser(subparsers: Any) -> None:
    """Add the command; it returns 0 where every layer that is there holds, else 1."""
    doctor = subparsers.add_parser("doctor", help="the sandbox of this machine: what is on, what is missing")
    doctor.set_defaults(handler=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from pytest_repoagent.testrun.sandbox.layers import probe
    from pytest_repoagent.testrun.warm_runner import WarmRunner

    layers, missing = probe()
    print(f"Python {platform.python_version()} on {sys.platform}, {platform.machine()}")
    print(", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    print(f"\nsandbox: {layers.level}")
    reasons = {layer.layer: layer for layer in missing}
    for name, detail in (
        ("namespaces", "bubblewrap: no other process, network or file of this machine is in sight"),
        ("landlock", f"ABI {layers.landlock}: nothing can be read or written beyond the test's own files"),
        ("seccomp", "no processes, sockets, signals to others, or rare system calls"),
    ):
        if name in reasons:
            print(f"  {name:<11} missing: {reasons[name].why} {reasons[name].remedy}")
        else:
            print(f"  {name:<11} on, {detail}")
    print(f"  {'limits':<11} on, CPU, memory, file size, open files")
    with closing(WarmRunner("auto")) as runner:
        try:
            runner.check()
        except UsageError as error:
            print(f"\nself-test: {error}")
            return 1
    print("\nself-test: each of these barriers was tried from inside, and held")
    if missing:
        print("--sandbox=strict will refuse to run here; --sandbox=auto, the default, runs with what is on")
    return 0
