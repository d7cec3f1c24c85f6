"""What is to be written: the examples, and what is known of how they were chosen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from builders.examples import Example
from builders.leakage import HeldOut
from pytest_repoagent.errors import UsageError


@dataclass
class Plan:
    """What a builder makes of the order.

    Attributes:
        parts: the examples in some parts, made while they are read, in this order.
        total: how many there will be at most.
        families: family -> how many of them.
        steps: steps in the store.
        dropped: reason -> steps left out; complete once ``parts`` are read.
        held_out: what the examples were checked against.
        query: the SQL that selected them.
        remarks: asked for sentences for the card once ``parts`` are read.
        pairs: construction -> how many pairs were ``made``, ``kept``, and ``dropped`` by reason, and their ``lengths``;
            empty without pairs.
        costs: what else is counted while ``parts`` are read, for the remarks.
    """

    parts: Sequence[Iterable[Example]]
    total: int
    families: Mapping[str, int]
    steps: int
    dropped: Counter[str]
    held_out: HeldOut
    query: str
    remarks: Callable[[], list[str]]
    pairs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    costs: Counter[str] = field(default_factory=Counter)


def val_families(families: Mapping[str, int], fraction: float) -> frozenset[str]:
    """The families whose examples are for validation: about ``fraction`` of all examples, never every family.

    Raises:
        UsageError: there is only one family.
    """
    if not fraction:
        return frozenset()
    if len(families) < 2:
        raise UsageError(
            "all examples are of one family, which cannot be on both sides: take more tasks, or --val-fraction 0"
        )
    room = max(round(fraction * sum(families.values())), min(families.values()))
    taken: set[str] = set()
    for family in sorted(families, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if families[family] <= room and len(taken) < len(families) - 1:
            room -= families[family]
            taken.add(family)
    return frozenset(taken)
