"""The self-test must see every hole: each is opened here, by leaving out what the layers are said to hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from sandbox_kit import BOTH, LANDLOCK, ROOT, SECCOMP, needs_landlock, needs_seccomp

from pytest_repoagent.testrun.sandbox.layers import NONE, Layers

CODE = """
import json, os, signal, sys, time
settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["root"])
from pytest_repoagent.testrun.sandbox import selftest
from pytest_repoagent.testrun.sandbox.confine import Confinement
from pytest_repoagent.testrun.sandbox.layers import Layers
from pytest_repoagent.testrun.sandbox.limits import ProcessLimits
claimed, there = Layers(**settings["claimed"]), Layers(**settings["there"])
limits = ProcessLimits(10, 1 << 30, 0)
def confine():
    Confinement(there, "pure", limits, settings["read"], []).enter()
confine = eval(settings["confine"] or "confine")
print(json.dumps(selftest.run(claimed, confine, settings["canary"])))
assert len(os.listdir("/proc/self/fd")) == 4, "a file was left open"
try:
    os.wait()
except ChildProcessError:
    pass
else:
    raise AssertionError("a process was left")
"""
ALL = Layers(namespaces=True, landlock=BOTH.landlock, seccomp=True)


@pytest.fixture
def try_out(tmp_path: Path) -> Callable[..., list[str]]:
    canary = tmp_path / "canary"
    canary.write_text("secret")

    def run(claimed: Layers, there: Layers, read: tuple[str, ...] = (), confine: str = "") -> list[str]:
        settings = {
            "root": str(ROOT),
            "claimed": asdict(claimed),
            "there": asdict(there),
            "canary": str(canary),
            "read": read,
            "confine": confine,
        }
        command = [sys.executable, "-I", "-S", "-B", "-c", CODE, json.dumps(settings)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(ended.stdout)
        assert isinstance(found, list)
        return found

    return run


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(NONE, id="limits"),
        pytest.param(LANDLOCK, id="landlock", marks=needs_landlock),
        pytest.param(SECCOMP, id="seccomp", marks=needs_seccomp),
        pytest.param(BOTH, id="both", marks=[needs_landlock, needs_seccomp]),
    ],
)
def test_what_is_there_holds(try_out: Callable[..., list[str]], layers: Layers) -> None:
    assert try_out(layers, layers) == []


def test_without_any_layer_everything_gets_through(try_out: Callable[..., list[str]]) -> None:
    found = try_out(ALL, NONE)
    assert found[:2] == ["read a file outside", "see that a file is there"]
    for hole in ("change a file outside", "talk to other processes", "start a process", "signal its parent"):
        assert hole in found
    assert sum(hole.startswith("call ") for hole in found) > 15


@needs_landlock
@needs_seccomp
def test_a_layer_that_is_not_there_is_noticed(try_out: Callable[..., list[str]]) -> None:
    found = try_out(BOTH, LANDLOCK)
    assert "start a process" in found
    assert "read a file outside" not in found
    found = try_out(BOTH, SECCOMP)
    assert "start a process" not in found
    assert "read a file outside" in found
    assert try_out(ALL, BOTH) == ["see that a file is there"]


@needs_landlock
def test_a_rule_too_many_is_noticed(try_out: Callable[..., list[str]], tmp_path: Path) -> None:
    assert try_out(LANDLOCK, LANDLOCK, read=(str(tmp_path),)) == ["read a file outside"]


@pytest.mark.parametrize(
    ("confine", "said"),
    [
        ("lambda: 1 / 0", "ZeroDivisionError"),
        ("lambda: open('/nonexistent')", "/nonexistent"),
        ("lambda: os._exit(0)", "did not answer"),
        ("lambda: os.kill(os.getpid(), signal.SIGKILL)", "did not answer (wait status 9)"),
        ("lambda: sys.exit()", "did not answer"),
    ],
)
def test_a_child_that_does_not_get_there_is_a_failure(
    try_out: Callable[..., list[str]], confine: str, said: str
) -> None:
    [failure] = try_out(NONE, NONE, confine=confine)
    assert said in failure
