"""What a planned collection will take, by what rollouts of the same model took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_repoagent.compare.student import central_t
from pytest_repoagent.errors import UsageError
from pytest_repoagent.prices import Price
from pytest_repoagent.store.connection import sql
from pytest_repoagent.store.reader import query_dicts

SHARE = 0.9
"""How often the truth is to be inside a range."""


@dataclass(frozen=True)
class Range:
    """A sum over the planned rollouts; ``low`` and ``high`` are None where a single rollout was recorded."""

    likely: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Estimate:
    """A planned collection.

    Attributes:
        run_id: the model's latest run, whose settings are taken to be those of the plan.
        recorded, recorded_tasks: rollouts that it is made from, and of how many tasks.
        planned: whether these are tasks of the plan.
        rollouts: planned ones.
        tokens: prompt and completion tokens together; None where the model counts none.
        prompt_share: of the tokens.
        usd: None where the price or the tokens are unknown.
        at_once: rollouts in flight.
        wall_s: seconds from start to end.
    """

    run_id: str
    recorded: int
    recorded_tasks: int
    planned: bool
    rollouts: int
    tokens: Range | None
    prompt_share: float | None
    usd: Range | None
    at_once: float
    wall_s: float


def estimate(
    store: Path, model: str, tasks: Sequence[str], rollouts: int, price: Price | None, at_once: int | None
) -> Estimate:
    """Predict ``rollouts`` of each of ``tasks``, ``at_once`` in flight (None: as many as in the model's latest run).

    Raises:
        UsageError: no rollout of the model says anything, or there is no store.
        StoreBusy: the store cannot be read.
    """
    prompt_usd, completion_usd = price.usd if price else (None, None)
    params = {"model": model, "tasks": list(tasks), "prompt_usd": prompt_usd, "completion_usd": completion_usd}
    (row,) = query_dicts(store, sql("estimate.sql"), params)
    if not row["rollouts"]:
        raise UsageError(
            f"{store} has no rollout of {model} to go by: run a few of the planned ones first, or name a model whose "
            f"rollouts are alike"
        )
    number, parallel = len(tasks) * rollouts, at_once or row["at_once"] or 1.0
    return Estimate(
        run_id=row["run_id"],
        recorded=row["rollouts"],
        recorded_tasks=row["tasks"],
        planned=row["planned"],
        rollouts=number,
        tokens=_total(number, row["rollouts"], row["tokens"], row["tokens_variance"]),
        prompt_share=row["prompt"] / row["tokens"] if row["tokens"] else None,
        usd=_total(number, row["rollouts"], row["usd"], row["usd_variance"]),
        at_once=parallel,
        wall_s=max(number * row["duration_s"] / parallel, row["longest_s"]),
    )


def _total(number: int, recorded: int, mean: float | None, variance: float | None) -> Range | None:
    """A sum of ``number`` values like ``recorded`` ones: its prediction interval, no less than 0."""
    if mean is None:
        return None
    likely = number * mean
    if variance is None:
        return Range(likely, None, None)
    spread = central_t(SHARE, recorded - 1) * math.sqrt(number * variance * (1 + number / recorded))
    return Range(likely, max(0.0, likely - spread), likely + spread)
