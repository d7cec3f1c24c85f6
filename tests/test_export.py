from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from store_factory import bad, final, read, rollout, write

from pytest_repoagent.cli import main
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store.connection import sql
from pytest_repoagent.store.folders import find
from pytest_repoagent.store.parquet import open_folder
from pytest_repoagent.store.reader import query
from pytest_repoagent.store.writer import StoreWriter

VIEWS = [line.split()[4] for line in sql("views.sql").splitlines() if line.startswith("CREATE OR REPLACE VIEW")]


def run(name: str, *names: str) -> list[Rollout]:
    """A run of rollouts with these ids."""
    facts = {"run_id": name, "run_started_at": "2026-11-21T09:00:00+00:00"}
    steps = ([read(), write(), final()], [bad("no_json"), final()])
    return [
        rollout(steps[number % 2], success=number % 2 == 0, rollout_id=rollout_id, index=number, **facts)
        for number, rollout_id in enumerate(names)
    ]


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(open_folder(find(str(folder)))) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two people's stores, and one that has the runs of both."""
    mine, theirs, both = (tmp_path / f"{name}.duckdb" for name in ("mine", "theirs", "both"))
    StoreWriter(mine).write(run("a/1", "one", "two"))
    StoreWriter(theirs).write([*run("b", "three"), *run("c", "four", "five")])
    StoreWriter(both).write([*run("a/1", "one", "two"), *run("b", "three"), *run("c", "four", "five")])
    return mine, theirs, both


def export(store: Path, folder: Path) -> None:
    assert main(["export", "--parquet", str(folder), "--store", str(store)]) == 0


@pytest.mark.parametrize("name", ["runs", "rollouts", "steps", "test_runs", *VIEWS])
def test_what_several_export_is_what_one_store_with_all_runs_has(
    stores: tuple[Path, Path, Path], tmp_path: Path, name: str
) -> None:
    mine, theirs, both = stores
    export(mine, tmp_path / "shared")
    export(theirs, tmp_path / "shared")
    columns = [column for column in query(both, f"FROM {name}")[0] if column != "texts"]
    statement = f"SELECT {', '.join(columns)} FROM {name} ORDER BY ALL"
    assert rows(tmp_path / "shared", statement) == query(both, statement)[1]


def test_a_run_that_has_grown_is_exported_again_and_others_stay(
    stores: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs, _ = stores
    folder = tmp_path / "shared"
    for store in (mine, theirs, mine):
        export(store, folder)
    StoreWriter(theirs).write(run("b", "three", "six"))
    export(theirs, folder)
    capsys.readouterr()
    assert main(["sql", "--from", str(folder), "--format", "csv", "SELECT rollout_id FROM rollouts ORDER BY ALL"]) == 0
    assert capsys.readouterr().out.split() == ["rollout_id", "five", "four", "one", "six", "three", "two"]
    assert not list(folder.rglob("*unfinished*"))


def test_what_is_no_export_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "--from", str(tmp_path / "none"), "FROM runs"]) == 4
    assert "has no test_runs/*.parquet: `repoagent export" in capsys.readouterr().err
    StoreWriter(tmp_path / "s").write(run("a", "one"))
    export(tmp_path / "s", tmp_path / "shared")
    (tmp_path / "shared/steps/a.parquet").write_text("no Parquet")
    assert main(["sql", "--from", str(tmp_path / "shared"), "FROM runs"]) == 4
    assert "cannot be read as a store" in capsys.readouterr().err


def test_where_nothing_can_be_written_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    StoreWriter(tmp_path / "s").write(run("a", "one"))
    (tmp_path / "file").write_text("")
    assert main(["export", "--parquet", str(tmp_path / "file/shared"), "--store", str(tmp_path / "s")]) == 1
    assert "a.parquet was not written: " in capsys.readouterr().err


def test_a_protocol_that_nobody_knows_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    StoreWriter(tmp_path / "s").write(run("a", "one"))
    assert main(["export", "--parquet", "nowhere://team/runs", "--store", str(tmp_path / "s")]) == 4
    err = capsys.readouterr().err
    assert "nowhere://team/runs cannot be used: " in err
    assert "pip install 'pytest-repoagent[s3]'" in err


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    StoreWriter(tmp_path / "s").write(run("a", "one", "two"))
    export(tmp_path / "s", tmp_path / "shared")
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM '{tmp_path}/shared/steps/*.parquet'").fetchall()
    assert found == [(5,)]
