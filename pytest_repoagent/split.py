"""Splitting a master suite: families stay whole, the same input gives the same split in any order.

``rank`` (the default)
    Families in the order of sha256(salt + family). Each defect class may hold out its share, rounded half up; a
    family is taken if it exceeds no class's quota. Then, in the same order, families are taken whatever their
    class while they fit into the held-out total.
``md5-percent``
    A family trains if md5(family) modulo 100 is below the training percentage: a family's side never depends on
    the other families, but on few families the shares are far off.
``seed``
    Families shuffled by a seed, taken while they fit into the held-out total.

The held-out total is the sum of the classes' quotas, and never less than the share of all tasks.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_repoagent.suites import Recipe, Task

Families = Mapping[str, Sequence[Task]]


def split(tasks: Iterable[Task], recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sorted task ids to train on, and those held out."""
    families: dict[str, list[Task]] = {}
    for task in tasks:
        families.setdefault(task.family, []).append(task)
    percent = int(recipe.ratio.partition("/")[2])
    match recipe.method:
        case "rank":
            heldout = _rank(families, percent, recipe.salt)
        case "md5-percent":
            heldout = {family for family in families if _md5_percent(family) >= 100 - percent}
        case "seed":
            order = sorted(families)
            random.Random(recipe.seed).shuffle(order)
            heldout = _fill(order, families, _total(_quotas(families, percent), families, percent))
    sides: tuple[list[str], list[str]] = ([], [])
    for family, members in families.items():
        sides[family in heldout].extend(task.task_id for task in members)
    return tuple(sorted(sides[0])), tuple(sorted(sides[1]))


def _rank(families: Families, percent: int, salt: str) -> set[str]:
    order = sorted(families, key=lambda family: hashlib.sha256((salt + family).encode()).digest())
    left = _quotas(families, percent)
    total = _total(left, families, percent)
    heldout = set()
    for family in order:
        classes = Counter(task.metadata.defect_class for task in families[family])
        if classes <= left:
            left -= classes
            heldout.add(family)
    taken = sum(len(families[family]) for family in heldout)
    return heldout | _fill((f for f in order if f not in heldout), families, total - taken)


def _quotas(families: Families, percent: int) -> Counter[str]:
    sizes = Counter(task.metadata.defect_class for members in families.values() for task in members)
    return Counter({name: _share(size, percent) for name, size in sizes.items()})


def _total(quotas: Counter[str], families: Families, percent: int) -> int:
    return max(quotas.total(), _share(sum(map(len, families.values())), percent))


def _fill(order: Iterable[str], families: Families, room: int) -> set[str]:
    taken = set()
    for family in order:
        if len(families[family]) <= room:
            room -= len(families[family])
            taken.add(family)
    return taken


def _share(size: int, percent: int) -> int:
    return (size * percent + 50) // 100


def _md5_percent(family: str) -> int:
    return int(hashlib.md5(family.encode(), usedforsecurity=False).hexdigest(), 16) % 100
