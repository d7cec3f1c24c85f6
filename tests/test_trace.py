from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_repoagent import trace


def test_events_are_lines_that_read_back(tmp_path: Path) -> None:
    with trace.Trace(tmp_path / "deep/er/t.jsonl") as log:
        log.emit("run_start", n=1, text="caf\u00e9 \U0001f600")
        log.emit("run_end", odd="\ud800")
    events = list(trace.read(log.path))
    assert [e["kind"] for e in events] == ["run_start", "run_end"]
    assert events[0]["text"] == "caf\u00e9 \U0001f600"
    assert events[1]["odd"] == "\ud800"
    assert events[0]["ts"].endswith("+00:00")
    assert events == log.events


def test_an_existing_trace_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("old")
    with pytest.raises(FileExistsError):
        trace.Trace(path)
    assert path.read_text() == "old"


def test_a_torn_last_line_ends_the_trace_quietly(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"kind": "run_start"}) + "\n" + '{"kind":"llm_req')
    assert [e["kind"] for e in trace.read(path)] == ["run_start"]


@pytest.mark.parametrize("line", ["{", "[]", "1", '{"no":"kind"}', '{"kind":1}', ""])
def test_a_broken_line_elsewhere_is_an_error_with_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"kind":"run_start"}\n' + line + '\n{"kind":"run_end"}\n')
    with pytest.raises(ValueError, match=r"t\.jsonl:2 is not a trace event"):
        list(trace.read(path))


def test_an_unserialisable_field_raises_and_writes_nothing(tmp_path: Path) -> None:
    with trace.Trace(tmp_path / "t.jsonl") as log:
        with pytest.raises(TypeError):
            log.emit("x", bad=object())
        log.emit("y")
    assert [e["kind"] for e in trace.read(log.path)] == ["y"]
