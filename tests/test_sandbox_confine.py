from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_kit import (
    BOTH,
    LANDLOCK,
    LIBRARIES,
    LIMITS,
    ROOT,
    SECCOMP,
    Place,
    needs_bubblewrap,
    needs_landlock,
    needs_seccomp,
)

from pytest_repoagent.testrun.sandbox import bubblewrap
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import NONE, Layers

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
LAYERS = pytest.mark.parametrize(
    "layers",
    [
        pytest.param(LANDLOCK, id="landlock", marks=needs_landlock),
        pytest.param(SECCOMP, id="seccomp", marks=needs_seccomp),
        pytest.param(replace(NONE, namespaces=True), id="namespaces", marks=LINUX),
    ],
)
STATUS = """
status = dict(line.split(":", 1) for line in open("/proc/thread-self/status"))
assert status["NoNewPrivs"].strip() == "1", status
for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
    assert int(status[name], 16) == 0, status
"""


@LAYERS
def test_behind_any_layer_there_are_no_rights_to_gain(layers: Layers) -> None:
    assert Place(layers, read=["/proc"]).said(STATUS) == "done"


@LINUX
def test_it_cannot_be_traced_or_dumped() -> None:
    """Where system calls are filtered it cannot even ask."""
    ask = "assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0"
    assert Place(replace(NONE, namespaces=True)).said(ask) == "done"
    assert Place().said(ask) == "AssertionError: "


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has them")
@LAYERS
def test_root_is_no_longer_root(layers: Layers, tmp_path: Path) -> None:
    somebodys = tmp_path / "somebodys"
    somebodys.write_text("private")
    os.chown(somebodys, 12345, 12345)
    somebodys.chmod(0o600)
    code = f"open({str(somebodys)!r})"
    assert Place().said(code) == "done"
    assert Place(layers, read=[str(tmp_path)]).said(code) == "EACCES"
    assert Place(layers).said("os.setuid(12345)") == "EPERM"


def test_without_layers_there_are_only_limits() -> None:
    code = "assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64\nos.fork() or os._exit(0)\nsocket.socket()"
    assert Place(NONE).said(code) == "done"
    assert Place(replace(NONE, namespaces=True)).said(code) == "done"


@LINUX
@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(NONE, id="none"),
        pytest.param(BOTH, id="both", marks=[needs_landlock, needs_seccomp]),
    ],
)
def test_it_dies_with_its_parent(layers: Layers) -> None:
    code = """
import json, os, sys, time
settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["root"])
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
if not os.fork():
    Confinement(Layers(**settings["layers"]), "pure", ProcessLimits(**settings["limits"]), [], []).enter()
    os.write(1, b"1")
    time.sleep(60)
time.sleep(60)
"""
    settings = {"root": str(ROOT), "layers": vars(layers), "limits": vars(LIMITS)}
    command = [sys.executable, "-I", "-S", "-B", "-c", code, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"1"
        started = time.monotonic()
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == b""
    assert time.monotonic() - started < 50


@needs_landlock
def test_what_was_prepared_serves_several_children_and_is_closed(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
before = os.listdir("/proc/self/fd")
confinement = Confinement(Layers(False, {LANDLOCK.landlock}, False), "pure", ProcessLimits(9, 1 << 30, 0), [], [])
for _ in range(3):
    pid = os.fork()
    if not pid:
        confinement.enter()
        try:
            os.listdir("/")
        except PermissionError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
confinement.close()
confinement.close()
assert os.listdir("/proc/self/fd") == before
"""
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], check=True, timeout=60)


@needs_landlock
def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        Confinement(LANDLOCK, "pure", LIMITS, [str(tmp_path / "gone")], [])


@needs_bubblewrap
@needs_landlock
@needs_seccomp
class TestAllTogether:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        """Behind everything, able to write into ``tmp_path / "work"``."""
        (tmp_path / "work").mkdir()
        read = [sys.prefix, sys.base_prefix, str(ROOT / "pytest_repoagent")]
        namespaces = bubblewrap.command(read, [str(tmp_path / "work")], 1 << 20)
        return Place(replace(BOTH, namespaces=True), "files", write=[str(tmp_path / "work")], namespaces=namespaces)

    def test_it_can_work(self, place: Place, tmp_path: Path) -> None:
        assert place.said("import json, decimal, random\nassert json.loads('[1]') == [1]") == "done"
        assert place.said(f"open({str(tmp_path / 'work' / 'new')!r}, 'w').write('x')") == "done"
        assert (tmp_path / "work" / "new").read_text() == "x"

    def test_it_cannot_leave(self, place: Place, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        assert place.said(f"os.stat({str(secret)!r})", forked=True) == "ENOENT"
        assert place.said("os.listdir('/proc')", forked=True) == "EACCES"
        assert place.said("os.kill(parent, 9)", forked=True) == "EPERM"
        assert place.said("os.fork() or os._exit(0)") == "EPERM"
        assert place.said("socket.socket()") == "EPERM"
        assert place.said("open('/tmp/x', 'w')") == "EACCES"

    def test_modes_and_times_of_its_own_files_can_be_changed(self, place: Place, tmp_path: Path) -> None:
        """But not by root, who would change the machine's device files as well."""
        file = str(tmp_path / "work" / "file")
        code = f"open({file!r}, 'w').close(); shutil.copy2({file!r}, {file!r} + '2'); os.chmod({file!r}, 0o600)"
        if os.getuid() == 0:
            assert place.said(code) == "EPERM"
            assert place.said("os.chmod('/dev/null', 0o666)") == "EPERM"
        else:
            assert place.said(code) == "done"
            assert place.said(f"os.chmod({LIBRARIES[0]!r}, 0o777)") == "EROFS"
            assert place.said("os.chmod('/dev/null', 0o666)") == "EPERM"
