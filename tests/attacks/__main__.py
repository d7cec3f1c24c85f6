"""Try some payloads of each kind at the levels named on the command line, or at all, and document what succeeds.

From the folder ``tests``: ``python -m attacks [LEVEL ...]``; prints the tables of ``docs/security.md``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .levels import LEVELS, known, succeeded, survey, surveyed, tables, write
from .range import Level, Range

AT_ONCE = 3


def main() -> None:
    """Try, write ``outcomes.json``, print."""
    for level in LEVELS:
        if level.name in sys.argv[1:] or not sys.argv[1:]:
            found = try_all(level)
            write({**known(), level.name: found})
    print(tables(known()))


def try_all(level: Level) -> dict[str, list[str]]:
    """What succeeds at a level; every attempt is told on standard error."""
    with tempfile.TemporaryDirectory() as folder:
        ranges = [Range(level, Path(folder, str(number))) for number in range(AT_ONCE)]
        try:
            attempts = survey(ranges, surveyed())
        finally:
            for place in ranges:
                place.close()
    for name, attempt in attempts.items():
        print(level.name, name, sorted(attempt.harms), attempt.evidence, file=sys.stderr)
    return succeeded(attempts)


if __name__ == "__main__":
    main()
