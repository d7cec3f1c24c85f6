"""A task's files as nodes get them."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from pytest_repoagent.cluster.sent import Content, SentFiles, digest, read
from pytest_repoagent.errors import SourceError
from pytest_repoagent.sources.base import TaskFiles


class Ref:
    """A reference as Ray's are."""

    def __init__(self, content: Content) -> None:
        self.content = content

    def future(self) -> Future[Content]:
        future: Future[Content] = Future()
        future.set_result(self.content)
        return future


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SentFiles:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "pristine"
    (root / "bin").mkdir(parents=True)
    (root / "bin/run").write_bytes(b"#!/bin/sh\n\xff")
    (root / "bin/run").chmod(0o755)
    (root / "a.py").write_text("x = 1\n")
    (root / "other").write_text("not of this task")
    content = read(TaskFiles(root, ("bin/run", "a.py")))
    return SentFiles(digest(content), Ref(content))


def test_they_are_unpacked_as_they_were_once(sent: SentFiles) -> None:
    files = sent.unpack()
    assert sorted(files.paths) == ["a.py", "bin/run"]
    assert digest(read(files)) == sent.digest
    assert (files.root / "bin/run").stat().st_mode & 0o111
    assert SentFiles(sent.digest, None).unpack() == files


def test_a_change_is_noticed(sent: SentFiles) -> None:
    file = sent.unpack().root / "a.py"
    file.write_text("x = 2\n")
    with pytest.raises(SourceError, match=r"somebody has changed the files in .* delete it"):
        sent.unpack()
    file.unlink()
    with pytest.raises(SourceError, match="somebody has changed"):
        sent.unpack()
