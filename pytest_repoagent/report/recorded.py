"""What a report shows, read from the store: an overview of some runs, and their rollouts' traces in small lots."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pytest_repoagent.errors import UsageError
from pytest_repoagent.report.interval import of_rates
from pytest_repoagent.store.reader import connect

Row = dict[str, Any]
T = TypeVar("T")

RATES = ("strict_valid", "lenient_valid", "loop_rate", "reached_write", "pass_rate")
LOT = 16
"""Rollouts whose traces are unpacked together; neighbours in the list, mostly of one task, so they compress well."""

_READ_AT_ONCE = 16 * LOT


class Recorded:
    """Some runs in a store. Close it soon: writers wait for it."""

    def __init__(self, store: Path, runs: Sequence[str]) -> None:
        """Open the store; without ``runs`` it is the latest one.

        Raises:
            UsageError: there is no such run, or no store.
            StoreBusy: a writer did not let go of the store.
        """
        self._connection = connect(store)
        self.runs = self._chosen(store, runs)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def overview(self) -> Row:
        """Everything but the traces: ``runs, arms, tasks, errors, lengths, rollouts, lot``."""
        totals = [row for run in self.runs for row in self._rows("FROM run_totals WHERE run_id = $run", run=run)]
        name = _arm_names([(row["run_id"], row["model"]) for row in totals])
        tasks, errors, lengths, rollouts = (
            [{"arm": name[row["run_id"], row["model"]], **row} for row in self._rows(_sql(file), runs=self.runs)]
            for file in ("task_means.sql", "errors.sql", "lengths.sql", "rollouts.sql")
        )
        runs = self._rows(
            "SELECT run_id, strftime(started_at, '%Y-%m-%d %H:%M') AS started_at, suite, split, commit, settings_hash "
            "FROM runs WHERE run_id IN (SELECT unnest($runs)) ORDER BY started_at, run_id",
            runs=self.runs,
        )
        arms = [_arm(name[row["run_id"], row["model"]], row, tasks) for row in totals]
        return {
            "runs": runs,
            "arms": arms,
            "tasks": tasks,
            "errors": errors,
            "lengths": lengths,
            "rollouts": rollouts,
            "lot": LOT,
        }

    def lots(self, ids: Sequence[str]) -> Iterator[list[Row]]:
        """The traces of these rollouts in this order, ``LOT`` at a time: ``steps, tests, ending`` of each."""
        for some in _batches(ids, _READ_AT_ONCE):
            steps, tests, endings = (
                self._of_rollouts(file, some) for file in ("steps.sql", "tests.sql", "endings.sql")
            )
            traces = [{"steps": steps[id], "tests": tests[id], "ending": endings[id][0]} for id in some]
            yield from _batches(traces, LOT)

    def _chosen(self, store: Path, runs: Sequence[str]) -> list[str]:
        known = [row["run_id"] for row in self._rows("SELECT run_id FROM runs ORDER BY started_at DESC, run_id")]
        for run in runs:
            if run not in known:
                raise UsageError(f"there is no run {run} in {store}; `repoagent runs` lists them")
        if not known:
            raise UsageError(f"there is no run in {store}; `pytest --model=repair` makes one")
        return list(dict.fromkeys(runs)) or known[:1]

    def _rows(self, query: str, **params: Any) -> list[Row]:
        result = self._connection.execute(query, params or None)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _of_rollouts(self, file: str, ids: Sequence[str]) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows(_sql(file), ids=list(ids)):
            for name in row.keys() & {"new_messages", "action", "counts"}:
                row[name] = json.loads(row[name]) if row[name] else None
            found[row.pop("rollout_id")].append(row)
        return found


def _arm(name: str, totals: Row, tasks: Sequence[Row]) -> Row:
    """A line of the summary: what the run says of the model, with rates over tasks and their intervals."""
    mine = [row for row in tasks if row["arm"] == name]
    rates = {rate: of_rates([row[rate] for row in mine if row[rate] is not None]) for rate in RATES}
    shown = ("run_id", "model", "rollouts", "counted", "mean_steps", "prompt_tokens", "completion_tokens", "cost_usd")
    return {
        "arm": name,
        **{column: totals[column] for column in shown},
        "tasks": len(mine),
        "rates": {rate: interval and asdict(interval) for rate, interval in rates.items()},
    }


def _arm_names(arms: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A model's name, with its run where several runs have the model."""
    runs = Counter(model for _, model in arms)
    return {(run, model): model if runs[model] == 1 else f"{model} in {run}" for run, model in arms}


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _sql(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
