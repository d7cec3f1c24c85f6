from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.testrun.base import Job
from pytest_repoagent.testrun.staging import private_copy


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "runs"))
    root = tmp_path / "root"
    (root / "pkg").mkdir(parents=True)
    (root / "a.py").write_bytes(b"one\r\n\xff")
    (root / "pkg/tool").write_text("#!/bin/sh\n")
    (root / "pkg/tool").chmod(0o755)
    return Job(root, ("a.py", "pkg/tool"), {}, ("python", "-m", "pytest"), 1)


def contents(work: Path) -> dict[str, bytes]:
    return {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}


def test_the_candidate_lies_over_a_copy_of_the_pristine_files(job: Job) -> None:
    job = replace(job, candidate={"a.py": "\ufeffx\r\n\ud800", "new/b.py": ""})
    with private_copy(job) as folder:
        assert contents(folder / "work") == {
            "a.py": b"\xef\xbb\xbfx\r\n\xed\xa0\x80",
            "new/b.py": b"",
            "pkg/tool": b"#!/bin/sh\n",
        }
        assert os.access(folder / "work/pkg/tool", os.X_OK)
        assert not os.access(folder / "work/a.py", os.X_OK)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not list((folder / "home").iterdir())
    assert not folder.exists()
    assert (job.root / "a.py").read_bytes() == b"one\r\n\xff"


def test_bytecode_is_not_copied(job: Job) -> None:
    job = replace(job, paths=(*job.paths, "pkg/__pycache__/a.cpython-311.pyc"))
    with private_copy(job) as folder:
        assert contents(folder / "work").keys() == {"a.py", "pkg/tool"}


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "fifo"])
def test_a_pristine_file_that_is_no_regular_file_is_named(job: Job, kind: str) -> None:
    odd = job.root / "odd.py"
    if kind == "folder":
        odd.mkdir()
    elif kind == "link":
        odd.symlink_to(job.root / "a.py")
    elif kind == "fifo":
        os.mkfifo(odd)
    with pytest.raises(InfrastructureError, match=r"odd\.py"), private_copy(replace(job, paths=("odd.py",))):
        pass
    assert not os.listdir(tempfile.gettempdir())  # noqa: PTH208


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/abs.py",
        "../up.py",
        "a/../../up.py",
        "a//b",
        "./a",
        "a/",
        "a\0b",
        "\ud800",
        "x" * 300,
        "pkg",
        "a.py/b",
    ],
)
def test_a_candidate_path_that_cannot_be_written_inside_is_refused(job: Job, path: str) -> None:
    job = replace(job, candidate={path: "text"})
    with pytest.raises(InfrastructureError), private_copy(job):
        pass
    assert not list(job.root.parent.glob("*.py"))


def test_the_copy_is_removed_when_its_user_is_interrupted(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt), private_copy(job) as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_folder_replaced_by_a_link_does_not_lead_the_removal_outside(job: Job) -> None:
    with private_copy(job) as folder:
        folder.rename(folder.with_name("moved"))
        folder.symlink_to(job.root)
    assert not folder.is_symlink()
    assert (job.root / "a.py").exists()
