"""The sign that ends a session in all of its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_repoagent.stopping import Stopped, StopSign


def test_every_process_heeds_it_and_knows_why(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "stop"
    mine, other = StopSign(path), StopSign(path)
    other.heed()
    mine.put_up("the key was rejected")
    with pytest.raises(Stopped):
        other.heed()
    assert other.reason == "the key was rejected"
    assert [file.name for file in path.parent.iterdir()] == ["stop"]


def test_the_first_reason_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = StopSign(tmp_path / "stop"), StopSign(tmp_path / "stop")
    first.put_up("the first")
    monkeypatch.setattr(StopSign, "is_up", False)  # as where both look before either says it
    second.put_up("the second")
    assert first.reason == second.reason == "the first"
