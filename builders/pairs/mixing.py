"""Which of the good pairs are kept: no construction may teach that longer is better, and shares are as asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_repoagent.errors import UsageError

K = TypeVar("K")


@dataclass(frozen=True)
class Good:
    """What is kept in memory of a pair that passed the lint.

    Attributes:
        number: its number in the spool; pairs are made, and written, in this order.
        name: a hash of what it says, the order in which pairs are taken where not all are.
        delta: characters of the preferred side less those of the rejected one.
    """

    number: int
    name: str
    construction: str
    task_id: str
    family: str
    delta: int


@dataclass(frozen=True)
class Lengths:
    """How the sides of pairs differ in length.

    Attributes:
        longer, shorter: share of the pairs whose preferred side is the longer or the shorter one.
        mean_delta: characters of the preferred side less those of the rejected one, in the mean.
    """

    longer: float
    shorter: float
    mean_delta: float


def measure(pairs: Sequence[Good]) -> Lengths:
    """The lengths of pairs; all 0 where there is none."""
    deltas = [pair.delta for pair in pairs]
    n = max(1, len(deltas))
    longer, shorter = sum(delta > 0 for delta in deltas), sum(delta < 0 for delta in deltas)
    return Lengths(round(longer / n, 4), round(shorter / n, 4), round(sum(deltas) / n, 2))


def unbiased(pairs: Sequence[Good], bound: float) -> list[Good]:
    """As many of the pairs as there can be with the longer text on the same side in at most ``bound`` of them.

    Args:
        pairs: of one construction.
        bound: from 0.5; 1 for no bound.
    """
    longer = [pair for pair in pairs if pair.delta > 0]
    shorter = [pair for pair in pairs if pair.delta < 0]
    most = max(longer, shorter, key=len)
    rest = len(pairs) - len(most)
    room = len(most) if bound == 1 else int(bound * rest / (1 - bound) + 1e-9)
    left_out = {pair.number for pair in _in_turns(most)[room:]}
    return [pair for pair in pairs if pair.number not in left_out]


def mixed(
    pools: Mapping[str, Sequence[Good]],
    shares: Mapping[str, float | None],
    most: int,
    why: Callable[[str], str],
) -> list[Good]:
    """As many pairs as the shares allow, in the order in which they were made.

    Of each construction, tasks are as even as can be, and the longer sides as in its pool, but for rounding.

    Args:
        pools: construction -> its pairs.
        shares: construction -> its share of the whole; all None for whatever there is.
        most: pairs in all; 0 for no bound.
        why: says in brackets why a construction has no pair.

    Raises:
        UsageError: a construction with a share has no pair.
    """
    given = {name: share for name, share in shares.items() if share}
    if not given:
        pairs = [pair for name in shares for pair in pools[name]]
        taken = _spread(pairs, most or len(pairs))
        return sorted(taken, key=lambda pair: pair.number)
    total = sum(given.values())
    for name in given:
        if not pools[name]:
            raise UsageError(f"--mix wants a share of {name}, but there is no good pair of it{why(name)}: leave it out")
    size = min(len(pools[name]) * total / share for name, share in given.items())
    size = int(min(size, most or size) + 1e-9)
    room = _portions({name: size * share / total for name, share in given.items()}, size)
    kept = [pair for name in given for pair in _spread(pools[name], room[name])]
    return sorted(kept, key=lambda pair: pair.number)


def _spread(pairs: Sequence[Good], most: int) -> list[Good]:
    """``most`` of the pairs, with constructions and longer sides in the same proportions; tasks as even as can be."""
    groups: defaultdict[tuple[str, int], list[Good]] = defaultdict(list)
    for pair in pairs:
        groups[pair.construction, (pair.delta > 0) - (pair.delta < 0)].append(pair)
    size = min(most, len(pairs))
    room = _portions({key: size * len(group) / len(pairs) for key, group in groups.items()}, size)
    return [pair for key, group in groups.items() for pair in _in_turns(group)[: room[key]]]


def _portions(exact: Mapping[K, float], total: int) -> dict[K, int]:
    """Whole numbers that sum up to ``total``, each as near to the exact one as can be (largest remainders)."""
    out = {key: int(size + 1e-9) for key, size in exact.items()}
    for key in sorted(exact, key=lambda key: out[key] - exact[key])[: total - sum(out.values())]:
        out[key] += 1
    return out


def _in_turns(pairs: Sequence[Good]) -> list[Good]:
    """One of each task, then a second of each, and so on."""
    seen: Counter[str] = Counter()
    turns: defaultdict[int, list[Good]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: pair.name):
        turns[seen[pair.task_id]].append(pair)
        seen[pair.task_id] += 1
    return [pair for turn in sorted(turns) for pair in turns[turn]]
