from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from store_factory import bad, events, final, read, rollout, trace_file, write

from pytest_repoagent.cli import main
from pytest_repoagent.store.connection import sql
from pytest_repoagent.store.writer import StoreWriter


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of the current folder, with two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    path = tmp_path / ".repoagent" / "store.duckdb"
    later = {"run_id": "run2", "run_started_at": "2026-11-21T09:00:00+00:00"}
    StoreWriter(path).write(
        [
            rollout([read(), write(), final()], success=True, rollout_id="one"),
            rollout([bad("no_json"), final()], success=False, rollout_id="two", text="a\x1b[31m", **later),
        ]
    )
    return path


def test_sql_as_a_table(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "from model_comparison"]) == 0
    header, _, row = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    shown = dict(zip(header, row, strict=False))
    assert (shown["model"], shown["strict_valid"], shown["runs"]) == ("builtin:novice", "0.8", "2")


def test_sql_as_csv(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "select rollout_id, success, cost_usd from rollouts order by all", "--format", "csv"]) == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["rollout_id", "success", "cost_usd"],
        ["one", "True", ""],
        ["two", "False", ""],
    ]


def test_sql_as_json_embeds_json_columns(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select rollout_id, tool_breakdown, files_touched, started_at, cost_usd from rollouts where success"
    assert main(["sql", query, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "rollout_id": "one",
            "tool_breakdown": {"read_file": 1, "write_file": 1},
            "files_touched": ["gcd.py"],
            "started_at": "2026-11-20 10:00:00.125000",
            "cost_usd": None,
        }
    ]


def test_what_a_model_wrote_cannot_steer_the_terminal(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "select raw from steps where rollout_id = 'two'"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"reply 0 a\x1b[31m" in out


def test_a_pipe_gets_whole_lines_and_a_narrow_terminal_gets_columns(store: Path) -> None:
    script = "import sys; from pytest_repoagent.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "sql", "from model_comparison"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "60"}
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert re.search("model .* pass_rate .* mean_duration_s", piped)
    ours, theirs = pty.openpty()
    subprocess.run(command, env=environment, stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert max(map(len, shown.splitlines())) <= 60
    assert re.search(r"^pass_rate +0\.5", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selec 1", "Parser Error"),
        ("from nowhere", "nowhere"),
        ("delete from rollouts", "read-only"),
    ],
)
def test_a_wrong_statement_is_one_line_and_a_failure(
    store: Path, capsys: pytest.CaptureFixture[str], query: str, words: str
) -> None:
    assert main(["sql", query]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_runs_lists_the_newest_first(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert re.findall(r"run\d", capsys.readouterr().out) == ["run2", "run1"]


@pytest.mark.parametrize("command", [["sql", "from rollouts"], ["runs"]])
def test_no_store_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPOAGENT_STORE", "elsewhere/s.duckdb")
    assert main(command) == 4
    assert "no store at elsewhere/s.duckdb" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_which_store(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def path(*args: str) -> Path:
        assert main(["store", "path", *args]) == 0
        return Path(capsys.readouterr().out.strip())

    assert path() == store
    monkeypatch.setenv("REPOAGENT_STORE", "/data/s.duckdb")
    assert path() == Path("/data/s.duckdb")
    assert path("--store", "/other.duckdb") == Path("/other.duckdb")


def test_the_schema_is_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "schema"]) == 0
    out = capsys.readouterr().out
    assert sql("schema.sql") in out
    assert sql("views.sql") in out


def test_ingest_says_what_became_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trace_file(tmp_path / "runs" / "good.jsonl", events([final()]))
    trace_file(tmp_path / "runs" / "unfinished.jsonl", events([final()])[:-1])
    assert main(["ingest", "runs", "--store", "s.duckdb"]) == 0
    assert capsys.readouterr().out == "s.duckdb: 1 rollouts recorded, 0 were there, 1 unfinished, 0 rejected\n"
    (tmp_path / "runs" / "dataset.jsonl").write_text('{"messages": []}\n')
    assert main(["ingest", "runs", "--store", "s.duckdb"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "s.duckdb: 0 rollouts recorded, 1 were there, 1 unfinished, 1 rejected\n"
    assert captured.err == "rejected runs/dataset.jsonl: its first line is no trace event\n"
