"""What is compared: the counted rollouts of one model under one set of conditions, with their metrics by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from pytest_repoagent.store.values import TaskValues

if TYPE_CHECKING:
    from pytest_repoagent.engine import Engine


class Identity(BaseModel):
    """The conditions that rollouts were made under; None and missing settings are unknown.

    Attributes:
        model: spec ``provider:name``.
        suite: its name.
        suite_sha256: hash of the suite's content.
        settings_hash: names the settings that shape a rollout, and the system prompt.
        settings: those settings by name (:data:`pytest_repoagent.settings.SHAPING`).
        runs: ids of the runs that were pooled.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    suite: str | None = None
    suite_sha256: str | None = None
    settings_hash: str | None = None
    settings: Mapping[str, Any] = {}
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        name: as the user named it.
        tasks: the values of the counted rollouts by task.
        spoiled: rollouts that the provider or this machine spoiled, which are in no number.
        expected: rollouts of each task that a run of it was to make.
    """

    name: str
    identity: Identity
    tasks: TaskValues
    spoiled: int = 0
    expected: int = 1


def planned(engine: Engine) -> Identity:
    """The conditions of a run that is about to begin, whatever its models."""
    return Identity(
        model="",
        suite=engine.suite.name,
        suite_sha256=engine.suite.sha256,
        settings_hash=engine.settings_hash,
        settings=engine.settings.shaping(),
    )


def conflicts(a: Identity, b: Identity) -> list[str]:
    """The conditions in which the two differ, each as ``what: a's, not b's``; the models may differ."""
    found = []
    if (a.suite, a.suite_sha256) != (b.suite, b.suite_sha256):
        found.append(f"suite: {_suite(a)}, not {_suite(b)}")
    names = [name for name in {**a.settings, **b.settings} if a.settings.get(name) != b.settings.get(name)]
    found += [f"{name}: {_value(a, name)}, not {_value(b, name)}" for name in names]
    if a.settings_hash != b.settings_hash and not names:
        found.append(f"system prompt or tools: settings_hash {a.settings_hash}, not {b.settings_hash}")
    return found


def _suite(identity: Identity) -> str:
    return f"{identity.suite} {(identity.suite_sha256 or '')[:12]}".strip()


def _value(identity: Identity, name: str) -> str:
    return str(identity.settings.get(name, "unknown"))
