"""What a report shows, read from the store: an overview of some runs, and their rollouts' traces in small lots."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pytest_repoagent.compare.comparison import side_interval
from pytest_repoagent.compare.inference import mean
from pytest_repoagent.compare.metrics import EXPLORATORY, PRIMARY, Metric, known
from pytest_repoagent.compare.references import find_runs
from pytest_repoagent.store.reader import connect
from pytest_repoagent.store.values import TaskValues, rollout_values

Row = dict[str, Any]
T = TypeVar("T")

_SHOWN = ("strict_valid", "lenient_valid", "loop_rate", "reached_write", "pass_rate")

RATES = tuple(metric for metric in PRIMARY + EXPLORATORY if metric.column in _SHOWN)
LOT = 16
"""Rollouts whose traces are unpacked together; neighbours in the list, mostly of one task, so they compress well."""

_READ_AT_ONCE = 16 * LOT


class Recorded:
    """Some runs in a store. Close it soon: writers wait for it."""

    def __init__(self, store: Path, runs: Sequence[str]) -> None:
        """Open the store; ``runs`` are named as :func:`pytest_repoagent.compare.references.find_runs` does.

        Raises:
            UsageError: there is no such run, or no store.
            StoreBusy: a writer did not let go of the store.
        """
        self._store = store
        self.runs = list(dict.fromkeys(run for name in runs or ["last"] for run in find_runs(name, store)))
        self._connection = connect(store)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def overview(self) -> Row:
        """Everything but the traces: ``runs, arms, tasks, errors, lengths, rollouts, lot``."""
        totals = [row for run in self.runs for row in self._rows("FROM run_totals WHERE run_id = $run", run=run)]
        name = _arm_names([(row["run_id"], row["model"]) for row in totals])
        errors, lengths, rollouts = (
            [{"arm": name[row["run_id"], row["model"]], **row} for row in self._rows(_sql(file), runs=self.runs)]
            for file in ("errors.sql", "lengths.sql", "rollouts.sql")
        )
        values = {arm: rollout_values(self._store, [run], model) for (run, model), arm in name.items()}
        runs = self._rows(
            "SELECT run_id, strftime(started_at, '%Y-%m-%d %H:%M') AS started_at, suite, split, commit, settings_hash "
            "FROM runs WHERE run_id IN (SELECT unnest($runs)) ORDER BY started_at, run_id",
            runs=self.runs,
        )
        arms = [_arm(arm, row, values[arm]) for row in totals for arm in [name[row["run_id"], row["model"]]]]
        return {
            "runs": runs,
            "arms": arms,
            "tasks": [{"arm": arm, **row} for arm, of_arm in values.items() for row in _passes(of_arm)],
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


def _arm(name: str, totals: Row, values: TaskValues) -> Row:
    """A line of the summary: what the run says of the model, with rates over tasks and their intervals."""
    shown = ("run_id", "model", "rollouts", "counted", "mean_steps", "prompt_tokens", "completion_tokens", "cost_usd")
    return {
        "arm": name,
        **{column: totals[column] for column in shown},
        "tasks": len(values),
        "rates": {metric.column: _rate(metric, values) for metric in RATES},
    }


def _rate(metric: Metric, values: TaskValues) -> Row | None:
    of_tasks = [found for of_task in values.values() if (found := known(metric.column, of_task))]
    if not of_tasks:
        return None
    means = list(map(mean, of_tasks))
    low, high = side_interval(metric, means, max(map(len, of_tasks)) == 1) or (None, None)
    return {"mean": mean(means), "low": low, "high": high, "tasks": len(means)}


def _passes(values: TaskValues) -> Iterator[Row]:
    """A row per task: how many rollouts' tests ran, and in how many the last run passed."""
    for task_id, of_task in sorted(values.items()):
        judged = known("pass_rate", of_task)
        yield {
            "task_id": task_id,
            "judged": len(judged),
            "passes": round(sum(judged)),
            "pass_rate": mean(judged) if judged else None,
        }


def _arm_names(arms: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A model's name, with its run where several runs have the model."""
    runs = Counter(model for _, model in arms)
    return {(run, model): model if runs[model] == 1 else f"{model} in {run}" for run, model in arms}


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _sql(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
