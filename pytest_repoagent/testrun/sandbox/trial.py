"""Tries the layers one by one, as versions and configuration files do not tell what a container lets through."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_repoagent.testrun.sandbox import bubblewrap, landlock, seccomp, selftest
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import NAMES, NONE, Layer, Layers, Missing
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits

_ROOT = Path(__file__).resolve().parents[3]
_MAIN = f"import sys; sys.path.insert(0, sys.argv[1]); from {__name__} import main; main()"
_TIMEOUT_S = 60
_LIMITS = ProcessLimits(cpu_s=10, memory_bytes=1 << 30, file_bytes=0)
_ABSENT = "The kernel does not offer it here."
_REMEDIES: dict[Layer, str] = {
    "landlock": "Use Linux 5.13 or later with `landlock` among its security modules (boot parameter `lsm=`).",
    "seccomp": "Use Linux with seccomp filters on x86_64 or arm64; in a container, let its runtime allow them.",
}


@functools.cache
def outcome() -> tuple[Layers, tuple[Missing, ...]]:
    """The layers that hold, and the others.

    Raises:
        OSError: they cannot be tried.
    """
    if sys.platform != "linux":
        why, remedy = f"{platform.system()} does not have it.", "Use Linux, or a container or virtual machine with it."
        return NONE, tuple(Missing(name, why, remedy) for name in NAMES)
    missing = []
    trouble = bubblewrap.problem()
    if trouble:
        missing.append(Missing("namespaces", trouble, bubblewrap.remedy(trouble)))
    version, troubles = _in_new_process()
    missing += [Missing(name, troubles[name], remedy) for name, remedy in _REMEDIES.items() if troubles[name]]
    return Layers(not trouble, 0 if troubles["landlock"] else version, not troubles["seccomp"]), tuple(missing)


def main() -> None:
    """Print, as JSON, the version of Landlock and what is wrong with either layer of the kernel."""
    version = landlock.abi()
    troubles = {
        "landlock": _trouble(replace(NONE, landlock=version)) if version else _ABSENT,
        "seccomp": _trouble(replace(NONE, seccomp=True)) if seccomp.supported() else _ABSENT,
    }
    print(json.dumps([version, troubles]))


def _in_new_process() -> Any:
    """What :func:`main` prints. It forks, which this process, that may have threads, had better not."""
    command = [sys.executable, "-I", "-S", "-B", "-c", _MAIN, str(_ROOT)]
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"The sandbox cannot be tried: nothing came of it within {_TIMEOUT_S} s.") from error
    if tried.returncode:
        said = tried.stderr.decode("utf-8", "replace").strip() or f"exit status {tried.returncode}"
        raise OSError(f"The sandbox cannot be tried: {said}")
    return json.loads(tried.stdout)


def _trouble(layers: Layers) -> str:
    """What gets through one layer alone, in a sentence."""
    try:
        through = selftest.run(layers, Confinement(layers, "pure", _LIMITS, [], []).enter, __file__)
    except OSError as error:
        through = [str(error)]
    return f"It does not hold: {'; '.join(through)}." if through else ""
