"""Runs shared over S3, with a server of its protocol on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_factory import final, read, rollout

from pytest_repoagent.cli import main
from pytest_repoagent.store.writer import StoreWriter

s3fs = pytest.importorskip("s3fs", reason="needs the extra s3: make test-machines")
moto = pytest.importorskip("moto.server", reason="needs moto: make test-machines")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem().mkdir("team")
        yield "s3://team"
    server.stop()


def record(store: Path, run: str, *names: str) -> Path:
    started = "2026-11-21T09:00:00+00:00"
    facts = {"run_id": run, "run_started_at": started}
    StoreWriter(store).write([rollout([read(), final()], rollout_id=name, **facts) for name in names])
    return store


def ask(bucket: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    statement = "SELECT rollout_id, count(*) AS n FROM steps GROUP BY ALL ORDER BY ALL"
    assert main(["sql", "--from", bucket, "--format", "csv", statement]) == 0
    return capsys.readouterr().out.split()


def test_two_people_share_a_bucket(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bucket += "/runs"
    mine, theirs = record(tmp_path / "mine", "a/1", "one"), record(tmp_path / "theirs", "b", "two")
    for store in (mine, theirs):
        assert main(["export", "--parquet", f"{bucket}/", "--store", str(store)]) == 0
    assert ask(bucket, capsys) == ["rollout_id,n", "one,2", "two,2"]
    record(theirs, "b", "three")
    assert main(["export", "--parquet", bucket, "--store", str(theirs)]) == 0
    assert ask(bucket, capsys) == ["rollout_id,n", "one,2", "three,2", "two,2"]


def test_a_bucket_that_is_not_there_is_told(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = record(tmp_path / "mine", "a", "one")
    assert main(["export", "--parquet", "s3://other/runs", "--store", str(store)]) == 1
    assert "s3://other/runs/test_runs/a.parquet was not written: " in capsys.readouterr().err
    assert main(["sql", "--from", "s3://other/runs", "FROM runs"]) == 4
    assert "s3://other/runs has no test_runs/*.parquet" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()  # one that was made before knows the server
    assert main(["sql", "--from", bucket, "FROM runs"]) == 1
    assert "s3://team cannot be reached: " in capsys.readouterr().err
