"""A dataset's folder: written beside its place and moved there, so that it is there whole or not at all.

It holds ``train`` and ``val`` (JSONL, or Parquet), ``lineage.parquet`` (where each line comes from), ``manifest.json``
(hashes, flags, query, counts) and ``README.md`` (the card). The same store and flags give the same bytes. The store is
told of the dataset once it is in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from builders import card, folder, formats, lineage
from builders.arguments import Order
from builders.plan import Plan
from builders.progress import progress
from builders.relay import Abandoned
from builders.selection import open_store
from builders.statistics import Statistics
from builders.tokens import TokenCounter
from builders.validate import validate
from builders.writing import SIDES, MakePlan, Written, processes_for, receive, shares, write_rows
from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.store import datasets


def write(order: Order, make_plan: MakePlan, shared: bool = False) -> str:
    """Build a dataset and return a few lines about it.

    Args:
        order: what to build.
        make_plan: called with the opened store.
        shared: let two processes share a large store's work; ``make_plan`` must then be picklable, and its rows must be
            made of :func:`builders.rollouts.read` alone, as they come.

    Raises:
        UsageError: there is nothing to write, the folder exists, or a file would be refused by its trainer.
        StoreBusy: the store is in use.
        InfrastructureError: the disk or the store failed. The dataset is whole, or not there.
    """
    counter = TokenCounter(order.tokenizer)
    with folder.unfinished(order.out, order.force) as place:
        plan, files, recorded = write_files(order, make_plan, place, counter, shared)
        for name in files:
            _check(place, name, order)
        manifest = _manifest(order, plan, files, recorded, place, counter)
        (place / "README.md").write_text(card.render(manifest, plan.remarks()), encoding="utf-8")
        spelled = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
        (place / folder.MANIFEST).write_bytes(spelled)
    try:
        datasets.record(order.store, order.out, spelled)
    except (UsageError, InfrastructureError) as error:
        raise InfrastructureError(f"{order.out} is complete, but the store has no row for it: {error}") from error
    return card.summary(manifest, order.out)


def write_files(
    order: Order, make_plan: MakePlan, place: Path, counter: TokenCounter, shared: bool
) -> tuple[Plan, dict[str, Statistics], dict[str, int]]:
    """Write the rows and their lineage into the folder ``place``; arguments and errors as for :func:`write`.

    Returns:
        The plan, done; what is in each file by its name; and what there is in the store.
    """
    processes = processes_for(order) if shared else 1
    with (
        shares(order, make_plan, place, processes) as (own, ends),
        open_store(order.store, place / "spill") as connection,
    ):
        with progress("selecting", None):
            plan = make_plan(connection)
        if not plan.families:
            raise _nothing(order, plan)
        try:
            written = write_rows(own, plan, counter)
        except Abandoned:
            for end in ends:
                receive(end)
            raise
        recorded = _counts(connection)
        more = [receive(end) for end in ends]
    for other in more:
        for side in SIDES:
            written.sides[side].add_all(other.sides[side])
        plan.dropped.update(other.refused)
        plan.costs.update(other.costs)
    origins = {side: place / f"{side}.lineage" for side in SIDES}
    lineage.write_parquet(origins, place / lineage.FILE)
    for path in origins.values():
        path.unlink()
    return plan, _name_files(order, plan, written, place), recorded


def _name_files(order: Order, plan: Plan, written: Written, place: Path) -> dict[str, Statistics]:
    """Give the files that have rows their names; returns what is in each."""
    if not written.sides["train"].rows:
        raise _nothing(order, plan)
    files = {}
    for side, statistics in written.sides.items():
        lines = place / f"{side}.lines"
        if statistics.rows:
            name = formats.file_name(side, order.format)
            if order.format == "parquet":
                formats.write_parquet(lines, order.kind, place / name)
            else:
                lines.rename(place / name)
            files[name] = statistics
        lines.unlink(missing_ok=True)
    return files


def _nothing(order: Order, plan: Plan) -> UsageError:
    reasons = ", ".join(f"{steps:,} {reason}" for reason, steps in plan.dropped.most_common())
    return UsageError(
        f"no training row is left of the {plan.steps:,} steps in {order.store} ({reasons or 'it has none'}): "
        "choose differently, or record more rollouts of training tasks"
    )


def _check(place: Path, name: str, order: Order) -> None:
    with progress(f"checking {name}", (place / name).stat().st_size) as advance:
        report = validate(place / name, order.format, order.kind, advance)
    if report.total:
        first = report.findings[0]
        with duckdb.connect() as connection:
            origin = connection.execute(
                f"SELECT rollout_id FROM '{place / lineage.FILE}' WHERE file = ? AND line = ?",
                [name.partition(".")[0], first.line],
            ).fetchone()
        rollout = f" (rollout {origin[0]})" if origin else ""
        raise UsageError(
            f"{first.text(Path(name))}{rollout}: {order.format} would refuse this; leave the rollout out with --where"
        )


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    [(version, rollouts, steps)] = connection.execute(
        "SELECT (SELECT value::INT FROM meta WHERE key = 'schema_version'), "
        "(SELECT count(*) FROM rollouts), (SELECT count(*) FROM steps)"
    ).fetchall()
    return {"schema_version": version, "rollouts": rollouts, "steps": steps}


def _manifest(
    order: Order,
    plan: Plan,
    files: Mapping[str, Statistics],
    recorded: dict[str, int],
    place: Path,
    counter: TokenCounter,
) -> dict[str, Any]:
    described = {}
    for name in [*files, lineage.FILE]:
        with (place / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        rows = {"rows": files[name].rows} if name in files else {}
        described[name] = {**rows, "bytes": (place / name).stat().st_size, "sha256": digest}
    return {
        "format_name": folder.FORMAT,
        "schema": 1,
        "kind": order.kind,
        "format": order.format,
        "files": described,
        "store": {"path": str(order.store), **recorded},
        "flags": dict(order.flags),
        "query": plan.query,
        "code": folder.code_version(),
        "tokenizer": counter.name,
        "usd_per_million": order.usd_per_million,
        "statistics": {name: statistics.to_json() for name, statistics in files.items()},
        "steps": plan.steps,
        "dropped": dict(plan.dropped.most_common()),
        **({"pairs": dict(plan.pairs)} if plan.pairs else {}),
        "leakage": {
            "compared": list(plan.held_out.compared),
            "not_compared": dict(plan.held_out.not_compared),
            "heldout_tasks": sum("/" in task_id for task_id in plan.held_out.task_ids),
            "heldout_families": len(plan.held_out.families),
        },
        "notes": list(formats.notes(order.format, order.kind)),
    }
