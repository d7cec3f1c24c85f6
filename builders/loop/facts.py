"""What the store knows of a loop: which of its stages are done, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders import folder
from builders.selection import sql
from pytest_repoagent.store import reader


class Facts:
    """Answers from a store, which need not exist yet; each is read anew."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def run(self, tag: str, rollouts: int) -> str | None:
        """The newest run of a tag that has so many rollouts, none spoiled."""
        found = self._one("rollouts", "loop_run", {"tag": tag, "rollouts": rollouts})
        return None if found is None else str(found)

    def job(self, method: str, dataset: Path) -> str | None:
        """The completed job that was trained on a dataset."""
        if not train_sha256(dataset):
            return None
        found = self._one("jobs", "loop_job", {"method": method, "train_sha256": train_sha256(dataset)})
        return None if found is None else str(found)

    def rollout_usd(self, model: str) -> float | None:
        """What a rollout of the model has cost so far, on average."""
        found = self._one("rollouts", "loop_rollout_usd", {"model": model})
        return None if found is None else float(found)

    def spent_usd(self, tags: Sequence[str], datasets: Sequence[Path]) -> float:
        """What was spent on the runs of some tags, on branches since, and on what was tuned on some datasets."""
        by_tags = {"tags": list(tags)}
        by_files = {"train_sha256s": [train_sha256(dataset) for dataset in datasets]}
        parts = (
            self._one("rollouts", "loop_spent_rollouts", by_tags),
            self._one("branches", "loop_spent_branches", by_tags),
            self._one("jobs", "loop_spent_jobs", by_files),
            self._one("endpoints", "loop_spent_endpoints", {**by_files, "now": datetime.now(UTC).replace(tzinfo=None)}),
        )
        return sum(part or 0.0 for part in parts)

    def _one(self, table: str, query: str, params: dict[str, Any]) -> Any:
        """A query's one value; None where it has none, or where its table was not made yet."""
        if not self._store.exists():
            return None
        with closing(reader.connect(self._store)) as connection:
            there = connection.execute(
                "SELECT 1 FROM duckdb_tables() WHERE table_name = ? AND NOT temporary", [table]
            ).fetchone()
            found = connection.execute(sql(query), params).fetchone() if there else None
        return found[0] if found else None


def train_sha256(dataset: Path) -> str | None:
    """The hash of a dataset's training file; None where it is not built yet."""
    if not (dataset / folder.MANIFEST).is_file():
        return None
    return str(folder.read_manifest(dataset)["files"]["train.jsonl"]["sha256"])
