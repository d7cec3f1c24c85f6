"""The barriers that there can be beside the resource limits, and which of them this machine has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

WITHOUT = "REPOAGENT_SANDBOX_WITHOUT"
"""Environment variable: layers to leave out, commas between them, to find out what holds at a weaker level."""

Layer = Literal["namespaces", "landlock", "seccomp"]
NAMES: tuple[Layer, ...] = ("namespaces", "landlock", "seccomp")


@dataclass(frozen=True)
class Layers:
    """Some barriers.

    Attributes:
        namespaces: bubblewrap shows the process a file system, processes and a network of its own.
        landlock: its version (ABI); 0 without it.
        seccomp: system calls are filtered.
    """

    namespaces: bool
    landlock: int
    seccomp: bool

    @property
    def level(self) -> str:
        """``full``, or the layers that are there joined by ``+``, or ``limits``."""
        there = (self.namespaces, self.landlock, self.seccomp)
        return "full" if all(there) else "+".join(name for name, on in zip(NAMES, there, strict=True) if on) or "limits"


NONE = Layers(namespaces=False, landlock=0, seccomp=False)


@dataclass(frozen=True)
class Missing:
    """A layer that is not there.

    Attributes:
        layer: its name.
        why: what is wrong.
        remedy: what to do about it.
    """

    layer: Layer
    why: str
    remedy: str


def probe() -> tuple[Layers, tuple[Missing, ...]]:
    """The layers that hold when tried, and the others. A process tries them once.

    Raises:
        ValueError: the environment variable that leaves layers out names something else.
        OSError: they cannot be tried.
    """
    # The test server imports this module and needs nothing of what trying takes.
    from pytest_repoagent.testrun.sandbox import trial

    left_out = frozenset(filter(None, map(str.strip, os.environ.get(WITHOUT, "").split(","))))
    if unknown := sorted(left_out.difference(NAMES)):
        raise ValueError(f"{WITHOUT} names {unknown[0]!r}, which is none of {', '.join(NAMES)}: correct or unset it.")
    there, missing = trial.outcome()
    layers = Layers(
        namespaces=there.namespaces and "namespaces" not in left_out,
        landlock=0 if "landlock" in left_out else there.landlock,
        seccomp=there.seccomp and "seccomp" not in left_out,
    )
    by_wish = f"The environment variable {WITHOUT} leaves it out."
    lost = {name: Missing(name, by_wish, "Unset it.") for name in NAMES if name in left_out}
    lost |= {layer.layer: layer for layer in missing}
    return layers, tuple(lost[name] for name in NAMES if name in lost)
