"""The files of a job, checked before anything is sent: a dataset's folder, or one file of rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from builders import folder
from builders.formats import Kind
from builders.progress import progress
from builders.tuning.request import Method
from builders.validate import validate
from pytest_repoagent.errors import UsageError

_KINDS: dict[Method, Kind] = {"sft": "sft", "dpo": "preference"}


@dataclass(frozen=True)
class File:
    """A file that has passed its format's validator; ``size`` in bytes."""

    path: Path
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Data:
    """What to train on, and what to evaluate on while training.

    Attributes:
        trajectories: a row is a whole rollout, as far as the dataset says.
    """

    train: File
    val: File | None
    trajectories: bool = False


def load(path: Path, method: Method) -> Data:
    """Read and check what ``path`` names.

    Raises:
        UsageError: it is neither, it was made for another trainer or purpose, it was changed since it was built, or
            a row breaks a rule.
    """
    if not path.is_dir():
        return Data(_check(path, method), None)
    manifest = folder.read_manifest(path)
    if manifest["format"] != "together":
        raise UsageError(f"{path} is in the format of {manifest['format']}; build it with --format together")
    if manifest["kind"] != _KINDS[method]:
        raise UsageError(f"{path} is a dataset for {manifest['kind']}, which {method} cannot learn from")
    files = {}
    for name in ("train.jsonl", "val.jsonl"):
        if name in manifest["files"]:
            files[name] = _check(path / name, method)
            if files[name].sha256 != manifest["files"][name]["sha256"]:
                raise UsageError(f"{path / name} was changed since the dataset was built; build it again")
    return Data(files["train.jsonl"], files.get("val.jsonl"), manifest["flags"].get("unit") == "trajectory")


def _check(path: Path, method: Method) -> File:
    if path.is_file() and path.suffix != ".jsonl":
        raise UsageError(f"{path}: is no dataset's folder and no .jsonl file, as Together takes")
    size = path.stat().st_size if path.is_file() else None
    with progress(f"checking {path.name}", size) as advance:
        report = validate(path, "together", _KINDS[method], advance)
    if report.total:
        more = f", and {report.total - 1:,} more; `repoagent validate` lists them" if report.total > 1 else ""
        raise UsageError(f"{report.findings[0].text(path)}{more}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return File(path, report.rows, path.stat().st_size, digest)
