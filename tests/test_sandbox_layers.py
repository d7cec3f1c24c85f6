from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations

import pytest
from sandbox_kit import BOTH, NO_BUBBLEWRAP, ROOT, SECCOMP, Place, needs_landlock, needs_seccomp

from pytest_repoagent.testrun.sandbox import layers, seccomp, trial
from pytest_repoagent.testrun.sandbox.layers import NAMES, NONE, Layers, Missing, probe

FULL = Layers(namespaces=True, landlock=7, seccomp=True)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with every layer."""
    monkeypatch.setattr(trial, "outcome", lambda: (FULL, ()))


@pytest.mark.parametrize(
    ("namespaces", "landlock", "filtered", "level"),
    [
        (True, 1, True, "full"),
        (False, 7, True, "landlock+seccomp"),
        (True, 0, True, "namespaces+seccomp"),
        (True, 7, False, "namespaces+landlock"),
        (True, 0, False, "namespaces"),
        (False, 3, False, "landlock"),
        (False, 0, True, "seccomp"),
        (False, 0, False, "limits"),
    ],
)
def test_levels_have_names(namespaces: bool, landlock: int, filtered: bool, level: str) -> None:
    assert Layers(namespaces, landlock, filtered).level == level


def test_this_machine_has_what_its_kernel_and_bubblewrap_offer() -> None:
    found, missing = probe()
    assert found == Layers(NO_BUBBLEWRAP is None, BOTH.landlock, seccomp.supported())
    assert (found.level == "full") is (not missing)
    for layer in missing:
        assert layer.layer not in found.level
        assert layer.why.endswith(".")
        assert layer.remedy.endswith(".")


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("left_out", [names for count in range(4) for names in combinations(NAMES, count)])
def test_layers_can_be_left_out(left_out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(layers.WITHOUT, ", ".join(reversed(left_out)))
    found, missing = probe()
    assert found == Layers("namespaces" not in left_out, 0 if "landlock" in left_out else 7, "seccomp" not in left_out)
    assert [layer.layer for layer in missing] == list(left_out)


def test_the_reason_that_counts_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Missing("namespaces", "It is not installed.", "Install it.")
    monkeypatch.setattr(trial, "outcome", lambda: (Layers(False, 7, True), (real,)))
    monkeypatch.setenv(layers.WITHOUT, "namespaces,seccomp")
    found, missing = probe()
    assert found.level == "landlock"
    assert missing[0] == real
    assert missing[1].layer == "seccomp"
    assert layers.WITHOUT in missing[1].why


@pytest.mark.usefixtures("offered")
def test_a_layer_that_does_not_exist_cannot_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(layers.WITHOUT, "seccomp,landlok")
    with pytest.raises(ValueError, match=r"REPOAGENT_SANDBOX_WITHOUT names 'landlok'.*namespaces, landlock, seccomp"):
        probe()


def test_elsewhere_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    found, missing = trial.outcome.__wrapped__()
    assert found == NONE
    assert [layer.layer for layer in missing] == list(NAMES)
    assert missing[0].why == "Darwin does not have it."


def test_a_trial_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_MAIN", "import sys; sys.exit('no way')")
    with pytest.raises(OSError, match="cannot be tried: no way"):
        trial.outcome.__wrapped__()


@pytest.mark.parametrize(
    ("lost", "kept", "step"),
    [
        pytest.param("landlock", "seccomp", "landlock.Ruleset.restrict", marks=needs_landlock),
        pytest.param("seccomp", "landlock", "seccomp.Filter.install", marks=needs_seccomp),
    ],
)
def test_a_container_that_refuses_is_found_out(lost: str, kept: str, step: str) -> None:
    """Kernel and machine have the layer, but putting it up fails."""
    code = f"""
import sys
sys.path.insert(0, sys.argv[1])
from pytest_repoagent.testrun.sandbox import landlock, seccomp, trial
def refuse(*_):
    raise PermissionError(1, "Operation not permitted")
{step} = refuse
trial.main()
"""
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(ROOT)]
    version, troubles = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert version == BOTH.landlock
    assert "Operation not permitted" in troubles[lost]
    assert "Operation not permitted" not in troubles[kept]


@needs_seccomp
def test_a_container_that_allows_nothing_has_nothing() -> None:
    """A filter of our own stands in for that of a container's runtime."""
    code = """
from pytest_repoagent.testrun.sandbox.layers import NONE, probe
found, missing = probe()
assert found == NONE, found
os.write(1, "".join(f"{layer.layer}: {layer.why} {layer.remedy}\\n" for layer in missing).encode())
"""
    said = Place(SECCOMP, "processes").said(code).splitlines()
    assert [line.partition(":")[0] for line in said] == [*NAMES, "done"]
    assert "Bubblewrap" in said[0]
    assert "lsm=" in said[1]
    assert "container" in said[2]
