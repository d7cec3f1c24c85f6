"""What a harness costs: six scripted steps, here, in a bare loop, in mini-swe-agent and in inspect-ai.

Every cell is a process of its own. CPU and memory per step are differences between a long and a short run, so that what
a process does once does not count; runs take turns, so that noise falls on all alike. ``--peers PYTHON`` names an
interpreter that has the peers (``make bench-peers``). Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "overhead"
STEPS = 6
LATENCY_S = 0.2
AT_ONCE = 64


def measure(python: str, case: str, rollouts: int, concurrency: int = 1, latency_s: float = 0.0) -> dict[str, Any]:
    """What one process took."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        command = [python, "-W", "ignore", CASES / f"{case}.py", folder, rollouts, concurrency, latency_s]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{case}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        taken: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return taken


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter with mini-swe-agent and inspect-ai")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rollouts", type=int, nargs=2, default=(40, 240), metavar=("FEW", "MANY"))
    given = parser.parse_args()
    cases = {"ours": sys.executable, "bare": sys.executable}
    if given.peers:
        cases |= {"mini": given.peers, "inspect_text": given.peers}
    steps(cases, given.rounds, *given.rollouts)
    waiting(cases, given.rounds)


def steps(cases: dict[str, str], rounds: int, few: int, many: int) -> None:
    """CPU, memory and bytes of a step, one rollout at a time."""
    found: dict[str, list[list[float]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, python in cases.items():
            short, long = (measure(python, case, rollouts) for rollouts in (few, many))
            more = {name: long[name] - short[name] for name in short}
            per_step = STEPS * (many - few)
            found[case].append(
                [
                    1000 * more["cpu_s"] / per_step,
                    1000 * more["children_cpu_s"] / per_step,
                    1000 * more["wall_s"] / per_step,
                    1024 * more["peak_mb"] / (many - few),
                    more["recorded_bytes"] / per_step,
                ]
            )
    table(
        "harness", "CPU ms a step", "its children's", "wall ms a step", "KB a rollout", "bytes a step", "CPU, ours = 1"
    )
    ours = medians(found["ours"])[0]
    for case in cases:
        columns = medians(found[case])
        row(case, *columns, columns[0] / ours)


def waiting(cases: dict[str, str], rounds: int) -> None:
    """64 rollouts at once with a model that takes its time."""
    print(f"\n{AT_ONCE} rollouts at once, {LATENCY_S} s a reply; ideal: {STEPS * LATENCY_S:.1f} s\n")
    found: dict[str, list[list[float]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, python in cases.items():
            idle = measure(python, case, 1)["wall_s"]
            taken = measure(python, case, AT_ONCE, AT_ONCE, LATENCY_S)
            found[case].append([taken["wall_s"], taken["wall_s"] - idle, taken["cpu_s"], taken["peak_mb"]])
    table("harness", "wall s", "without start", "ratio to ideal", "CPU s", "peak MB")
    for case in cases:
        wall, net, cpu, peak = medians(found[case])
        row(case, wall, net, net / (STEPS * LATENCY_S), cpu, peak)


def medians(rows: Iterable[list[float]]) -> list[float]:
    """Of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def table(*columns: str) -> None:
    """The head of a table."""
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")


def row(name: str, *values: float) -> None:
    """A row of it."""
    print(f"| {name} | {' | '.join(f'{value:.2f}' if abs(value) < 100 else f'{value:,.0f}' for value in values)} |")


if __name__ == "__main__":
    main()
