"""Where each line of a dataset comes from, as a Parquet file beside it: training files have no room for that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import duckdb

from builders.examples import Example, SftRow
from builders.statistics import construction

FILE = "lineage.parquet"
MEMORY_LIMIT = "64MB"
"""What DuckDB holds at most while it writes that file."""
_ROW_GROUP = 20_480  # rows held in memory at once; a sixth of the usual, which needs twice the time and memory

_COLUMNS = {  # after file, which is train or val, and line, which counts from 1 in it
    "run_id": "VARCHAR",
    "rollout_id": "VARCHAR",
    "step": "INTEGER",  # the last one learned
    "steps": "INTEGER[]",  # every one learned
    "state_hash": "VARCHAR",  # prompt_sha256 of the recorded step
    "prompt_sha256": "VARCHAR",  # of the prompt in the row, which --window and --truncate-results change
    "task_id": "VARCHAR",
    "family": "VARCHAR",
    "model": "VARCHAR",
    "construction": "VARCHAR",
    "action_sha256": "VARCHAR",  # of the target, or of both sides of a pair
    "weight": "DOUBLE",
    "margin": "DOUBLE",
    "tags": "VARCHAR[]",
}


def line(example: Example) -> bytes:
    """The row of one example but for its place, as a line of JSON."""
    state = example.state
    if isinstance(example, SftRow):
        learned, margin = example.target, None
        steps = _steps(example) if example.trained else []
    else:
        learned, margin, steps = f"{example.preferred}\n{example.rejected}", example.margin, []
    text = _LINE % (
        _quoted(state.run_id),
        _quoted(state.rollout_id),
        state.step,
        [*steps, state.step],
        _quoted(state.state_hash),
        _quoted(state.prompt_sha256),
        _quoted(state.task_id),
        _quoted(state.family),
        _quoted(state.model),
        _quoted(construction(example)),
        _quoted(hashlib.sha256(learned.encode()).hexdigest()),
        example.weight,
        "null" if margin is None else margin,
        _array(example.tags),
    )
    return text.encode()


_quoted = json.encoder.encode_basestring_ascii
_LINE = "{" + ",".join(f'"{name}":%s' for name in _COLUMNS) + "}\n"  # json.dumps takes three times as long


@lru_cache(maxsize=512)
def _array(texts: tuple[str, ...]) -> str:
    return json.dumps(texts)


def _steps(row: SftRow) -> list[int]:
    """Which steps the further trained messages of a trajectory are."""
    roles = [message["role"] for message in row.state.messages]
    return [roles[:at].count("assistant") for at in row.trained]


def write_parquet(lines: Mapping[str, Path], output: Path) -> None:
    """Make the Parquet file of files of :func:`line`, one for each of the dataset's files.

    Raises:
        duckdb.Error: it cannot be written.
    """
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    selects = [
        f"SELECT '{file}' AS file, row_number() OVER () AS line, * "
        f"FROM read_json(${number}, format = 'newline_delimited', columns = {{{columns}}})"
        for number, file in enumerate(lines, 1)
    ]
    with duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT}) as connection:
        connection.execute("SET SESSION enable_progress_bar = false")
        connection.execute(
            f"COPY ({' UNION ALL '.join(selects)}) TO ${len(lines) + 1} "
            f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_ROW_GROUP})",
            [*(str(path) for path in lines.values()), str(output)],
        )
