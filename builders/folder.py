"""The folder of a dataset, under its name only when it is whole, and what is known of the code that made it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ValidationError

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.suites import first_mistake

FORMAT = "pytest-repoagent dataset"
MANIFEST = "manifest.json"


@contextmanager
def unfinished(out: Path, replace: bool) -> Iterator[Path]:
    """A new folder beside ``out`` that becomes ``out`` when the block ends, and is gone where it fails.

    Raises:
        UsageError: ``out`` exists; with ``replace``, it is no dataset.
        InfrastructureError: the disk failed.
    """
    _may_write(out, replace)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.unfinished-", dir=out.parent) as temporary:
            place = Path(temporary) / out.name
            place.mkdir()  # unlike the temporary folder, with the user's usual permissions
            yield place
            shutil.rmtree(place / "spill", ignore_errors=True)
            _may_write(out, replace)  # it took time, in which something may have appeared there
            if out.exists():
                out.rename(Path(temporary) / "replaced")
            place.rename(out)
    except (OSError, duckdb.IOException) as error:
        raise InfrastructureError(f"{out} was not written: {_reason(error)}") from error
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from None
        raise


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset.

    Raises:
        UsageError: the folder is no dataset, or one of a newer version.
    """
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
    except (OSError, ValueError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format_name") != FORMAT:
        raise UsageError(f"{folder} is no dataset of pytest-repoagent: it has no {MANIFEST} of one")
    schema = manifest.get("schema")
    if not isinstance(schema, int):
        raise UsageError(f"{file}: schema is {schema!r}, but must be a number; build the dataset again")
    if schema > 1:
        raise UsageError(f"{file}: schema is {schema}, newer than this version's 1; upgrade pytest-repoagent")
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        raise UsageError(f"{file}: {first_mistake(error)}; build the dataset again") from None
    return manifest


class _Manifest(BaseModel):
    """What is read of a manifest, whatever else is in it."""

    kind: str
    format: str
    tokenizer: str
    files: dict[str, dict[str, Any]]
    store: dict[str, Any]
    flags: dict[str, Any]
    code: dict[str, Any]
    dropped: dict[str, int]
    leakage: dict[str, Any]
    pairs: dict[str, dict[str, Any]] = {}


def code_version() -> dict[str, str | None]:
    """The package's version, and the commit of the checkout it runs from; None where it runs from none."""
    root = Path(__file__).resolve().parent.parent
    commit = None
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True)
        commit = done.stdout.strip() or None
    return {"version": version("pytest-repoagent"), "commit": commit}


def _may_write(out: Path, replace: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not replace:
        raise UsageError(f"--out: {out} exists already; name another folder, or replace the dataset with --force")
    read_manifest(out)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
