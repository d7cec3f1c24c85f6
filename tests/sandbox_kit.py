"""Code that tries something behind barriers, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

import pytest_repoagent
from pytest_repoagent.testrun.sandbox import bubblewrap, landlock, seccomp
from pytest_repoagent.testrun.sandbox.layers import NONE, Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
from pytest_repoagent.testrun.sandbox.seccomp import Profile

LIMITS = ProcessLimits(cpu_s=10, memory_bytes=1 << 30, file_bytes=1 << 20)
ROOT = Path(pytest_repoagent.__file__).parent.parent
LIBRARIES = (sysconfig.get_path("stdlib"), *filter(os.path.exists, ("/lib", "/usr/lib", "/lib64", "/usr/lib64")))
LANDLOCK = Layers(namespaces=False, landlock=landlock.abi(), seccomp=False)
SECCOMP = Layers(namespaces=False, landlock=0, seccomp=True)
BOTH = Layers(namespaces=False, landlock=LANDLOCK.landlock, seccomp=True)

needs_landlock = pytest.mark.skipif(not LANDLOCK.landlock, reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(not seccomp.supported(), reason="no seccomp filter for this kernel or machine")
NO_BUBBLEWRAP = bubblewrap.problem()
needs_bubblewrap = pytest.mark.skipif(NO_BUBBLEWRAP is not None, reason=str(NO_BUBBLEWRAP))

_CONFINED = """
import ctypes, errno, json, mmap, os, resource, select, shutil, signal, socket, sys, tempfile, threading, time
settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["root"])
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits, apply
sys.path.pop(0)
parent = os.getpid()
if settings["forked"] and os.fork():
    _, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code) if code >= 0 else os.kill(os.getpid(), -code)
layers, limits = Layers(**settings["layers"]), ProcessLimits(**settings["limits"])
code = compile(settings["code"], "<attempt>", "exec")
Confinement(layers, settings["profile"], limits, settings["read"], settings["write"], settings["names"]).enter()
try:
    exec(code, globals())
    said = "done"
except OSError as error:
    said = errno.errorcode.get(error.errno, str(error))
except BaseException as error:
    said = f"{type(error).__name__}: {error}"
os.write(1, said.encode())
os._exit(0)
"""


@dataclass(frozen=True)
class Place:
    """What a confined process may do; without ``layers`` only what its limits let it."""

    layers: Layers = NONE
    profile: Profile = "pure"
    limits: ProcessLimits = LIMITS
    read: Sequence[str] = ()
    write: Sequence[str] = ()
    names: Sequence[str] = ()
    namespaces: Sequence[str] = field(default=())

    def attempt(self, code: str, forked: bool = False) -> subprocess.CompletedProcess[str]:
        """Run ``code`` in a process that entered, a child of a free one if ``forked``.

        ``stdout`` is ``done``, or the name of the error number it ended with, or its exception.
        """
        settings = {
            "root": str(ROOT),
            "code": code,
            "forked": forked,
            "layers": asdict(self.layers),
            "limits": asdict(self.limits),
            "profile": self.profile,
            "read": [*LIBRARIES, *self.read],
            "write": list(self.write),
            "names": list(self.names),
        }
        command = [*self.namespaces, sys.executable, "-I", "-S", "-B", "-c", _CONFINED, json.dumps(settings)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def said(self, code: str, forked: bool = False) -> str:
        """What ``code`` ended with."""
        ended = self.attempt(code, forked)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout
