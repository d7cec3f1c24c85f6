"""Test data of the programs whose arguments and results are plain JSON."""

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "json_testcases"


def load_cases(name):
    """The [arguments, expected] pairs of one program, one a line of its file."""
    with (FOLDER / f"{name}.json").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
