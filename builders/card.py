"""The dataset card: what a person must know before training on a dataset, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Manifest = Mapping[str, Any]

_RANGES = [*((step, step) for step in range(5)), (5, 9), (10, 19), (20, 39), (40, 79), (80, 10**9)]
_FILES = {
    "lineage.parquet": "where each line comes from: run, rollout, step, state hash",
    "manifest.json": "hashes, flags, the query, and every count",
}


def render(manifest: Manifest, remarks: Sequence[str]) -> str:
    """The card of a dataset.

    Args:
        manifest: as in its ``manifest.json``.
        remarks: what else the builder has to say.
    """
    sections = [
        _head(manifest),
        _files(manifest),
        _cost(manifest, remarks),
        _leakage(manifest),
        *(_contents(name, facts, manifest["kind"]) for name, facts in manifest["statistics"].items()),
        *_pairs(manifest),
        _left_out(manifest),
        _how(manifest),
    ]
    return "\n\n".join(sections) + "\n"


def summary(manifest: Manifest, out: Path) -> str:
    """A few lines for the terminal."""
    files = ", ".join(f"{name} {facts['rows']:,} rows" for name, facts in manifest["files"].items() if "rows" in facts)
    tokens = _total(manifest, "tokens", "sum")
    lines = [f"{out}: {files}; {tokens:,} tokens, about ${tokens * manifest['usd_per_million'] / 1e6:,.2f} an epoch"]
    lines += [f"  left out: {steps:>9,} {reason}" for reason, steps in manifest["dropped"].items()]
    for name, facts in manifest.get("pairs", {}).items():
        lines.append(f"  {name}: {facts['kept']:,} of {facts['made']:,} pairs")
        lines += [f"    left out: {pairs:>7,} {reason}" for reason, pairs in facts["dropped"].items()]
    return "\n".join([*lines, f"the card is {out / 'README.md'}"])


def _head(manifest: Manifest) -> str:
    what = "next actions to learn" if manifest["kind"] == "sft" else "pairs of actions to prefer and to avoid"
    rows = f"{_total(manifest, 'rows'):,} {what}"
    name = {"sft": "SFT", "preference": "Preference"}[manifest["kind"]]
    return (
        f"# {name} dataset\n\n{rows} in the format of {manifest['format']}, from recorded rollouts of training tasks."
    )


def _files(manifest: Manifest) -> str:
    rows = []
    for name, facts in manifest["files"].items():
        what = f"{facts['rows']:,} rows" if "rows" in facts else _FILES[name]
        rows.append((f"`{name}`", what, f"{facts['bytes']:,}", f"`{facts['sha256'][:16]}`"))
    rows.append(("`manifest.json`", _FILES["manifest.json"], "", ""))
    return "## Files\n\n" + _table(("file", "what", "bytes", "sha256"), rows)


def _cost(manifest: Manifest, remarks: Sequence[str]) -> str:
    tokens, price = _total(manifest, "tokens", "sum"), manifest["usd_per_million"]
    said = [
        f"{tokens:,} tokens ({manifest['tokenizer']}), {_total(manifest, 'tokens', 'learned'):,} of them learned.",
        f"One epoch with one evaluation costs about ${tokens * price / 1e6:,.2f} at ${price:g} a million tokens.",
        *remarks,
        *manifest["notes"],
    ]
    return "## Training\n\n" + _items(said)


def _leakage(manifest: Manifest) -> str:
    facts = manifest["leakage"]
    refused = {reason: steps for reason, steps in manifest["dropped"].items() if "held-out" in reason}
    known = f"{facts['heldout_tasks']:,} tasks and {facts['heldout_families']:,} families"
    said = [
        f"No row is of a held-out task or family; {known} are known.",
        f"No row shows a held-out program of {', '.join(facts['compared'])}."
        if facts["compared"]
        else "No held-out programs were compared with.",
        *(f"Programs of {suite} were not compared with: {why}." for suite, why in facts["not_compared"].items()),
        *(f"Refused: {steps:,} steps, {reason}." for reason, steps in refused.items()),
    ]
    return "## Held-out tasks\n\n" + _items(said)


def _contents(name: str, facts: Mapping[str, Any], kind: str) -> str:
    tokens, weight = facts["tokens"], facts["weight"]
    rows = [
        ("rows", f"{facts['rows']:,}"),
        ("tasks, families", f"{facts['tasks']:,}, {facts['families']:,}"),
        ("most rows of one task", f"{facts['rows_per_task_max']:,}"),
        ("tokens a row: p50, p95, max", f"{tokens['p50']:,}, {tokens['p95']:,}, {tokens['max']:,}"),
        ("weight of a row: least, most, sum", f"{weight['min']:g}, {weight['max']:g}, {weight['sum']:,g}"),
    ]
    if kind == "preference":
        rows.append(("preferred side is longer", f"{facts['longer_preferred']:.0%} of pairs"))
        rows.append(("its length less the other's", f"{facts['length_delta_mean']:+,.0f} characters in the mean"))
    tables = [_table(("", ""), rows)]
    counted = {
        "action": facts["actions"],
        "step": _in_ranges(facts["steps"]),
        "model": facts["models"],
        "made by": facts["constructions"],
    }
    for tag, count in facts["tags"].items():
        group, _, value = tag.partition(":")
        counted.setdefault(group, {})[value] = count
    tables += [_shares(group, counts, facts["rows"]) for group, counts in counted.items()]
    return f"## `{name}`\n\n" + "\n\n".join(tables)


def _pairs(manifest: Manifest) -> list[str]:
    rows = []
    for name, facts in manifest.get("pairs", {}).items():
        rows.append((name, "made", f"{facts['made']:,}"))
        rows += [("", reason, f"{pairs:,}") for reason, pairs in facts["dropped"].items()]
        rows.append(("", "kept", f"{facts['kept']:,}"))
    return ["## What became of the pairs\n\n" + _table(("made by", "", "pairs"), rows)] if rows else []


def _left_out(manifest: Manifest) -> str:
    rows = [(reason, f"{steps:,}") for reason, steps in manifest["dropped"].items()]
    kept = manifest["steps"] - sum(manifest["dropped"].values())
    total = [("used", f"{kept:,}"), ("all steps in the store", f"{manifest['steps']:,}")]
    return "## What became of the recorded steps\n\n" + _table(("left out", "steps"), [*rows, *total])


def _how(manifest: Manifest) -> str:
    store, code = manifest["store"], manifest["code"]
    said = [
        f"Store `{store['path']}`: {store['rollouts']:,} rollouts, {store['steps']:,} steps.",
        f"Code: pytest-repoagent {code['version']}, commit {code['commit'] or 'unknown'}.",
        "Flags: " + ", ".join(f"`{name}={value}`" for name, value in manifest["flags"].items()) + ".",
    ]
    return "## How it was made\n\n" + _items(said)


def _in_ranges(steps: Mapping[str, int]) -> dict[str, int]:
    """Early steps one by one, later ones in ranges that double."""
    found: dict[str, int] = {}
    for step, rows in steps.items():
        low, high = next((low, high) for low, high in _RANGES if int(step) <= high)
        name = f"{low}" if low == high else f"{low} to {high}"
        found[name] = found.get(name, 0) + rows
    return found


def _total(manifest: Manifest, *path: str) -> int:
    total = 0
    for facts in manifest["statistics"].values():
        for name in path:
            facts = facts[name]
        total += facts
    return total


def _shares(name: str, counts: Mapping[str, int], rows: int) -> str:
    return _table((name, "rows", "share"), [(value, f"{n:,}", f"{n / rows:.1%}") for value, n in counts.items()])


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
