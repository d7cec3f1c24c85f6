"""What changed from one dataset to another: flags and code, what was left out, and row by row by lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from builders.folder import read_manifest
from builders.lineage import FILE
from builders.selection import sql
from pytest_repoagent.errors import UsageError


def compare(before: Path, after: Path) -> Iterator[str]:
    """The differences, a line each.

    Raises:
        UsageError: one of the folders is no dataset.
    """
    old, new = read_manifest(before), read_manifest(after)
    yield from _changes("", _facts(old), _facts(new))
    yield from _changes("flag ", old["flags"], new["flags"])
    yield from _changes("left out: ", old["dropped"], new["dropped"], missing=0)
    yield from _changes("pairs left out: ", _pairs(old), _pairs(new), missing=0)
    with duckdb.connect() as connection:
        try:
            rows = connection.execute(
                sql("diff"), {"before": str(before / FILE), "after": str(after / FILE)}
            ).fetchall()
        except duckdb.Error as error:
            raise UsageError(f"the {FILE} of a dataset cannot be read: {str(error).partition(chr(10))[0]}") from None
    totals: dict[str, list[tuple[str, int]]] = {}
    for change, model, count in rows:
        totals.setdefault(change, []).append((model, count))
    for change, models in totals.items():
        by_model = ", ".join(f"{count:,} {model}" for model, count in models)
        yield f"{sum(count for _, count in models):,} rows {change} ({by_model})"


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of its origin, flat."""
    parts = {name: manifest[name] for name in ("kind", "format", "tokenizer")}
    store = {f"store {name}": value for name, value in manifest["store"].items()}
    code = {f"code {name}": value for name, value in manifest["code"].items()}
    files = {f"{name} sha256": facts["sha256"][:16] for name, facts in manifest["files"].items()}
    leakage = {f"leakage {name}": value for name, value in manifest["leakage"].items()}
    return {**parts, **store, **code, **leakage, **files}


def _pairs(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Why pairs were left out, by construction."""
    made_by = manifest.get("pairs", {}).items()
    return {f"{name}, {reason}": n for name, facts in made_by for reason, n in facts["dropped"].items()}


def _changes(what: str, before: Mapping[str, Any], after: Mapping[str, Any], missing: object = None) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, missing), after.get(name, missing)
        if old != new:
            yield f"{what}{name}: {old} -> {new}"
