"""The levels of the sandbox, and what the payloads do at each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from .catalogue import PAYLOADS
from .payload import Payload
from .range import Attempt, Level, Range

FULL = Level("full")
TOGETHER = Level("full, one process", split=False)
SUBPROCESS = Level("subprocess", runner="subprocess", sandbox="none", split=False)
LEVELS = (
    FULL,
    TOGETHER,
    Level("landlock+seccomp", sandbox="landlock+seccomp", without=("namespaces",)),
    Level("namespaces+seccomp", sandbox="namespaces+seccomp", without=("landlock",)),
    Level("namespaces+landlock", sandbox="namespaces+landlock", without=("seccomp",)),
    Level("seccomp", sandbox="seccomp", without=("namespaces", "landlock")),
    Level("landlock", sandbox="landlock", without=("namespaces", "seccomp")),
    Level("namespaces", sandbox="namespaces", without=("landlock", "seccomp")),
    Level("limits", sandbox="limits", without=("namespaces", "landlock", "seccomp")),
    SUBPROCESS,
)
OF_EACH = 4
Outcomes = Mapping[str, Mapping[str, Sequence[str]]]
"""Level -> category -> names of the payloads that succeed, for a runner that is root's."""
_FILE = Path(__file__).with_name("outcomes.json")


def surveyed() -> list[Payload]:
    """Some payloads of each category, spread evenly: what the weaker levels are measured with."""
    chosen = []
    for category in dict.fromkeys(payload.category for payload in PAYLOADS):
        kin = [payload for payload in PAYLOADS if payload.category == category]
        chosen += kin[:: -(-len(kin) // OF_EACH)]
    return chosen


def known() -> Outcomes:
    """The outcomes as they are documented."""
    outcomes: Outcomes = json.loads(_FILE.read_text(encoding="utf-8"))
    return outcomes


def write(outcomes: Outcomes) -> None:
    """Document other outcomes."""
    _FILE.write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")


def survey(ranges: Sequence[Range], payloads: Iterable[Payload]) -> dict[str, Attempt]:
    """Try every payload on one of the ranges; those that run into a limit wait side by side."""
    queue: SimpleQueue[Payload] = SimpleQueue()
    for payload in payloads:
        queue.put(payload)
    attempts: dict[str, Attempt] = {}

    def work(place: Range) -> None:
        while True:
            try:
                payload = queue.get_nowait()
            except Empty:
                return
            attempts[payload.name] = place.attempt(payload)

    with ThreadPoolExecutor(len(ranges)) as pool:
        list(pool.map(work, ranges))
    return attempts


def succeeded(attempts: Mapping[str, Attempt]) -> dict[str, list[str]]:
    """Category -> names of those that did any harm."""
    found: dict[str, list[str]] = {}
    for payload in PAYLOADS:
        if payload.name in attempts and attempts[payload.name].harms:
            found.setdefault(payload.category, []).append(payload.name)
    return found


def tables(outcomes: Outcomes) -> str:
    """What is documented, in Markdown: how many succeed, and which."""
    names = [level.name for level in LEVELS]
    sizes = Counter(payload.category for payload in surveyed())
    lines = [
        f"| attacks that succeed, of {sizes.total()} | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for category, size in sizes.items():
        counts = [len(outcomes[name].get(category, ())) for name in names]
        lines.append(f"| {category} ({size}) | {' | '.join(str(count or '-') for count in counts)} |")
    totals = [sum(map(len, outcomes[name].values())) for name in names]
    lines.append(f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |")
    for name in names:
        if outcomes[name]:
            lines += ["", f"**{name}:**"]
            lines += [f"- {category}: {', '.join(outcomes[name][category])}" for category in outcomes[name]]
    return "\n".join(lines) + "\n"
