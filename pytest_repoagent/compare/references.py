"""What the user means by a run id, a tag, ``model:NAME`` or a baseline file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_repoagent.compare.arms import Arm, Identity
from pytest_repoagent.compare.baseline_file import Baseline, load_baseline
from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import SHAPING
from pytest_repoagent.store.reader import query_dicts
from pytest_repoagent.store.values import rollout_values

Candidate = Mapping[str, Any]


def load_arm(reference: str, store: Path) -> Arm:
    """The rollouts that a reference names.

    ``NAME.json`` is a baseline file; ``model:NAME`` a model's newest run, pooled with its earlier runs of the same
    suite and settings; ``last`` the newest run; else a run's id, a tag (its newest run, pooled likewise), or the
    beginning of a run's id. Where that has several models, ``/MODEL`` after it names one.

    Raises:
        UsageError: there is nothing of that name, or it is ambiguous.
    """
    if reference.endswith(".json"):
        return from_file(Path(reference).name, load_baseline(Path(reference)))
    named = _named(reference, query_dicts(store, _sql("candidates.sql")), store)
    newest = named[0]
    pooled = [one for one in named if all(one[what] == newest[what] for what in ("suite_sha256", "settings_hash"))]
    runs = tuple(one["run_id"] for one in pooled)
    identity = Identity(
        model=newest["model"],
        suite=newest["suite"],
        suite_sha256=newest["suite_sha256"],
        settings_hash=newest["settings_hash"],
        settings=_shaping(newest["settings"]),
        runs=runs,
    )
    tasks = rollout_values(store, runs, newest["model"])
    if not tasks:
        raise UsageError(f"no rollout of {reference} counts: the provider or the machine spoiled all of them")
    return Arm(reference, identity, tasks, sum(one["spoiled"] for one in pooled), newest["expected"])


def from_file(name: str, baseline: Baseline) -> Arm:
    """The arm that a baseline file holds."""
    return Arm(name, Identity(**baseline.identity.model_dump()), baseline.tasks)


def _named(reference: str, candidates: Sequence[Candidate], store: Path) -> list[Candidate]:
    """The runs of one model that a reference names, newest first."""
    if reference.startswith("model:"):
        spec = reference.removeprefix("model:")
        named = [one for one in candidates if one["model"] == spec]
        if not named:
            has = ", ".join(sorted({str(one["model"]) for one in candidates})) or "none at all"
            raise UsageError(f"{store} has no rollout of the model {spec}; it has {has}")
        return named
    where, slash, model = reference.partition("/")
    found = _runs(where, candidates, store)
    named = [one for one in found if not slash or one["model"] == model]
    models = sorted({one["model"] for one in named or found})
    if len(models) > 1 or not named:
        these = " or ".join(f"{where}/{one}" for one in models)
        raise UsageError(f"{reference} is not rollouts of one model; name {these}")
    return named


def find_runs(where: str, store: Path) -> list[str]:
    """The ids, newest first, of the runs that ``last``, a run's id or its beginning, or a tag names.

    Raises:
        UsageError: there is nothing of that name, or it is ambiguous.
    """
    return list(dict.fromkeys(one["run_id"] for one in _runs(where, query_dicts(store, _sql("candidates.sql")), store)))


def _runs(where: str, candidates: Sequence[Candidate], store: Path) -> list[Candidate]:
    """All models of some runs."""
    newest = candidates[0]["run_id"] if candidates else None
    found = (
        [one for one in candidates if where == "last" and one["run_id"] == newest]
        or [one for one in candidates if one["run_id"] == where]
        or [one for one in candidates if one["tag"] == where]
        or [one for one in candidates if where and one["run_id"].startswith(where)]
    )
    if not found:
        raise UsageError(f"{store} has no run with the id or tag {where!r}; `repoagent runs` lists the runs")
    if found[0]["tag"] != where and len({one["run_id"] for one in found}) > 1:
        raise UsageError(f"several runs begin with {where!r}; `repoagent runs` lists the runs")
    return found


def _shaping(settings: str | None) -> dict[str, Any]:
    recorded = json.loads(settings or "{}")
    return {name: recorded[name] for name in SHAPING if name in recorded}


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath("sql", name).read_text(encoding="utf-8")
