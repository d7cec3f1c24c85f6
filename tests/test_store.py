from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_factory import bad, final, older, read, rollout, write

from pytest_repoagent.errors import InfrastructureError, UsageError
from pytest_repoagent.rollout import Rollout, Step, TestRun
from pytest_repoagent.store import connection, rows
from pytest_repoagent.store.connection import StoreBusy, StoreUnusable
from pytest_repoagent.store.reader import connect, load_rollout, query, recorded_keys, run_sandbox, run_totals
from pytest_repoagent.store.writer import StoreWriter

PRELUDE = """
import os, resource, signal, sys, time
from pathlib import Path
from store_factory import bad, final, read, rollout, write
from pytest_repoagent.store.connection import writing
from pytest_repoagent.store.reader import connect, query
from pytest_repoagent.store.writer import StoreWriter
store = Path(sys.argv[1])
"""
WRITE_BURSTS = """
name, bursts = sys.argv[2], int(sys.argv[3])
for burst in range(bursts):
    ids = [f"{name}-{burst}-{i}" for i in range(5)]
    steps = [read(), write(), bad("no_json"), final()]
    StoreWriter(store).write([rollout(steps, rollout_id=i, run_id=name) for i in ids])
    print(*ids, sep="\\n", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store.duckdb"


def start(script: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def ids(store: Path) -> list[str]:
    return [row[0] for row in query(store, "SELECT rollout_id FROM rollouts ORDER BY ALL")[1]]


def assert_whole(store: Path) -> None:
    """Every rollout has its four steps, once."""
    found = query(store, "SELECT count(*), count(DISTINCT (rollout_id, step)) FROM steps")[1][0]
    assert found == (4 * len(ids(store)),) * 2
    assert query(store, "SELECT count(*) FROM rollouts JOIN runs USING (run_id)")[1] == [(len(ids(store)),)]


# What is written is what is read.

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_object = st.dictionaries(st.text(), _json, max_size=3)
_count = st.integers(0, 2**31 - 1)
_maybe_text = st.none() | st.text()
_seconds = st.floats(0, 1e9)
_role = st.sampled_from(["system", "user", "assistant"])
_times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000).isoformat(timespec="milliseconds")
)
_steps = st.lists(
    st.builds(
        Step,
        index=st.just(0),
        new_messages=st.lists(st.fixed_dictionaries({"role": _role, "content": st.text()})).map(tuple),
        window=st.text(),
        prompt_sha256=st.text(),
        raw=st.text(),
        finish_reason=_maybe_text,
        action=st.none() | _object.map(lambda extra: {**extra, "type": "tool_call", "name": "read_file"}),
        error_code=_maybe_text,
        error_message=_maybe_text,
        strict_valid=st.booleans(),
        lenient_valid=st.booleans(),
        executed_ok=st.none() | st.booleans(),
        tool_code=_maybe_text,
        result=_maybe_text,
        flags=st.lists(st.text()).map(tuple),
        prompt_tokens=st.none() | _count,
        completion_tokens=st.none() | _count,
        latency_s=_seconds,
        tool_s=_seconds,
        extra=_object,
    ),
    max_size=4,
).map(lambda steps: tuple(replace(step, index=i) for i, step in enumerate(steps)))
_tests = st.lists(
    st.builds(
        TestRun,
        step=st.none() | _count,
        passed=st.booleans(),
        reason=st.text(),
        counts=st.dictionaries(st.text(), _count),
        text=st.text(),
        duration_s=_seconds,
        cpu_s=_seconds,
        runner=st.text(),
        judge=_maybe_text,
        sandbox=_maybe_text,
    ),
    max_size=3,
).map(tuple)
_rollouts = st.builds(
    Rollout,
    rollout_id=st.just(""),
    run_id=st.text(),
    task_id=st.text(),
    model=st.text(),
    index=_count,
    seed=st.integers(-(2**63), 2**63 - 1),
    attempt=_count,
    started_at=_times,
    duration_s=_seconds,
    outcome=st.sampled_from(["final", "max_iters", "provider_error", "infrastructure_error"]),
    success=st.none() | st.booleans(),
    error=_maybe_text,
    cause=_maybe_text,
    final_summary=st.text(),
    diff=st.text(),
    files_touched=st.lists(st.text()).map(tuple),
    loop_detections=_count,
    reflection_count=_count,
    cost_usd=st.none() | _seconds,
    run=st.fixed_dictionaries({}, optional={"suite": st.text(), "started_at": _times, "settings": _object}),
    task=st.fixed_dictionaries({}, optional={"family": st.text(), "metadata": _object, "more": _json}),
    trajectory=_steps,
    tests=_tests,
    trace_path=st.text(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=st.lists(_rollouts, min_size=1, max_size=4))
def test_a_rollout_comes_back_as_it_was_written(drawn: list[Rollout], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = tmp_path_factory.getbasetemp() / "round-trip" / "store.duckdb"
    made = [replace(each, rollout_id=uuid.uuid4().hex) for each in drawn]
    assert StoreWriter(store).write(made) == len(made)
    assert [load_rollout(store, r.rollout_id) for r in made] == made
    columns = "texts, acted, (new_messages::VARCHAR, action::VARCHAR, raw) AS columns"
    for texts, acted, read_by_duckdb in query(store, f"SELECT {columns} FROM steps")[1]:
        assert rows.parts_of(texts, acted) == read_by_duckdb


def test_microseconds_and_other_zones_are_kept_as_utc(store: Path) -> None:
    made = rollout([final()], started_at="2026-11-20T12:00:00.000001+02:00", rollout_id="r")
    StoreWriter(store).write([made])
    assert load_rollout(store, "r").started_at == "2026-11-20T10:00:00.000001+00:00"
    assert query(store, "SELECT started_at FROM rollouts")[1] == [(datetime(2026, 11, 20, 10, 0, 0, 1),)]


def test_half_surrogates_are_replaced_and_everything_else_kept(store: Path) -> None:
    made = rollout([read(), bad("no_json"), final()], success=True, text="a\ud83db\0\U0001f600", rollout_id="r")
    StoreWriter(store).write([made])
    expected = rollout([read(), bad("no_json"), final()], success=True, text="a\ufffdb\0\U0001f600", rollout_id="r")
    back = load_rollout(store, "r")
    assert [(s.raw, s.result, s.error_message, s.new_messages) for s in back.trajectory] == [
        (s.raw, s.result, s.error_message, s.new_messages) for s in expected.trajectory
    ]
    assert (back.diff, back.tests) == (expected.diff, expected.tests)


# Each rollout once, all of it or nothing.


def test_a_rollout_is_recorded_once(store: Path) -> None:
    one, two = rollout([final()], rollout_id="one"), rollout([final()], rollout_id="two")
    writer = StoreWriter(store)
    assert [writer.write(batch) for batch in ([one, one], [one], [one, two], [])] == [1, 0, 1, 0]
    assert ids(store) == ["one", "two"]


def test_a_rollout_that_does_not_fit_takes_its_batch_with_it_and_nothing_else(store: Path) -> None:
    writer = StoreWriter(store)
    writer.write([rollout([final()], rollout_id="before")])
    huge = replace(rollout([final()], rollout_id="huge"), seed=2**70)
    with pytest.raises(ValueError, match="does not fit"):
        writer.write([rollout([final()], rollout_id="with"), huge])
    assert ids(store) == ["before"]
    assert query(store, "SELECT DISTINCT rollout_id FROM steps")[1] == [("before",)]
    assert writer.write([rollout([final()], rollout_id="with")]) == 1


def test_each_rollout_keeps_its_own_account_of_its_run(store: Path) -> None:
    one, two = rollout(settings_hash="first", rollout_id="one"), rollout(settings_hash="second", rollout_id="two")
    StoreWriter(store).write([one, two])
    assert query(store, "SELECT settings_hash FROM runs")[1] == [("first",)]
    assert load_rollout(store, "two").run["settings_hash"] == "second"


def test_processes_that_write_to_one_store_lose_nothing(store: Path) -> None:
    writers = [start(WRITE_BURSTS, store, f"p{i}", 40) for i in range(2)]
    acknowledged = [line for writer in writers for line in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(acknowledged) == 400
    assert ids(store) == sorted(acknowledged)
    assert_whole(store)


def test_what_was_acknowledged_survives_kills(store: Path) -> None:
    acknowledged: list[str] = []
    for life in range(6):
        writer = start(WRITE_BURSTS, store, f"life{life}", 1000)
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())  # it is in the middle of its bursts now
        time.sleep(0.13 * life)
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.communicate()[0].split()
    assert writer.returncode == -signal.SIGKILL
    assert set(acknowledged) <= set(ids(store))
    assert len(ids(store)) == len(set(ids(store)))
    assert_whole(store)


def test_a_store_whose_making_was_killed_is_made_anew(store: Path) -> None:
    store.parent.mkdir()
    for leftover in (".new", ".new.wal", ".wal"):
        store.with_name(store.name + leftover).write_bytes(b"torn")
    assert StoreWriter(store).write([rollout([final()], rollout_id="r")]) == 1
    assert ids(store) == ["r"]
    assert sorted(path.name for path in store.parent.iterdir()) == ["store.duckdb", "store.duckdb.lock"]


# Waiting for one's turn.


@contextmanager
def held(script: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    holder = start(script, store)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


READ_FOREVER = "reader = connect(store)\nprint('held', flush=True)\ntime.sleep(600)"
WRITE_FOREVER = "with writing(store, 30):\n    print('held', flush=True)\n    time.sleep(600)"
READ_A_WHILE = "reader = connect(store)\nprint('held', flush=True)\ntime.sleep(0.7)\nreader.close()\ntime.sleep(600)"


def test_a_reader_makes_the_writer_give_up_in_the_end(store: Path) -> None:
    StoreWriter(store).write([rollout([final()], rollout_id="before")])
    with held(READ_FOREVER, store) as reader, pytest.raises(StoreBusy) as caught:
        StoreWriter(store, busy_timeout_s=0.3).write([rollout([final()])])
    assert f"PID {reader.pid}" in str(caught.value)
    assert str(store) in str(caught.value)
    assert "ingest" in str(caught.value)
    assert ids(store) == ["before"]


def test_a_writer_waits_for_a_reader_to_be_done(store: Path) -> None:
    StoreWriter(store).write([])
    with held(READ_A_WHILE, store):
        assert StoreWriter(store, busy_timeout_s=60).write([rollout([final()], rollout_id="r")]) == 1
    assert ids(store) == ["r"]


def test_readers_do_not_exclude_each_other(store: Path) -> None:
    StoreWriter(store).write([rollout([final()], rollout_id="r")])
    with held(READ_FOREVER, store):
        assert ids(store) == ["r"]


def test_a_burst_in_another_session_is_waited_for_and_named(store: Path) -> None:
    with held(WRITE_FOREVER, store):
        with pytest.raises(StoreBusy, match="another session"):
            StoreWriter(store, busy_timeout_s=0.2).write([])
        with pytest.raises(StoreBusy, match="another session"):
            connect(store, busy_timeout_s=0.2)


def test_a_reader_of_this_process_is_named_too(store: Path) -> None:
    StoreWriter(store).write([])
    with closing(connect(store)), pytest.raises(StoreBusy, match="this process itself"):
        StoreWriter(store, busy_timeout_s=0.2).write([])


def test_a_program_that_knows_no_lock_file_is_named(store: Path) -> None:
    StoreWriter(store).write([])
    script = "import duckdb\ncli = duckdb.connect(store)\nprint('held', flush=True)\ntime.sleep(600)"
    with held(script, store) as holder, pytest.raises(StoreBusy, match=rf"PID {holder.pid}\)"):
        connect(store, busy_timeout_s=0.2)


def test_a_reader_sees_what_a_killed_writer_had_committed(store: Path) -> None:
    StoreWriter(store).write([rollout([final()], rollout_id="one")])
    leave_a_log(store)
    assert ids(store) == ["one"]
    assert query(store, "SELECT value FROM meta WHERE key = 'committed'")[1] == [("yes",)]


def leave_a_log(store: Path) -> None:
    """Have a writer die between commit and close."""
    script = """
with writing(store, 30) as connection:
    connection.execute("INSERT INTO meta VALUES ('committed', 'yes')")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    start(script, store).communicate()
    assert store.with_name(store.name + ".wal").stat().st_size > 0


def test_a_store_in_a_read_only_place_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:  # not below tmp_path, which other users cannot enter
        place = Path(folder)
        StoreWriter(place / "store.duckdb").write([rollout([final()], rollout_id="r")])
        (place / "store.duckdb.lock").unlink()
        for path, mode in ((place / "store.duckdb", 0o444), (place, 0o555)):
            path.chmod(mode)
        script = """
if os.getuid() == 0:  # root may write anywhere
    os.setuid(65534)
print(os.access(store.parent, os.W_OK), query(store, "SELECT rollout_id FROM rollouts")[1])
"""
        printed = start(script, place / "store.duckdb").communicate()[0]
        place.chmod(0o755)
    assert printed == "False [('r',)]\n"


# Files that are no store.


def other_database(path: Path) -> None:
    with duckdb.connect(path) as other:
        other.execute("CREATE TABLE customers (name VARCHAR)")


def other_meta(path: Path) -> None:
    with duckdb.connect(path) as other:
        other.execute("CREATE TABLE meta AS SELECT 1 AS version")


def sqlite_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name)")


def text_file(path: Path) -> None:
    path.write_text("model,passes\n" * 5000)


def empty_file(path: Path) -> None:
    path.touch()


def newer_store(path: Path) -> None:
    StoreWriter(path).write([])
    with duckdb.connect(path) as newer:
        newer.execute("UPDATE meta SET value = value::INTEGER + 1 WHERE key = 'schema_version'")


def damaged_log(path: Path) -> None:
    StoreWriter(path).write([])
    leave_a_log(path)
    log = path.with_name(path.name + ".wal")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (other_database, "no store of pytest-repoagent"),
        (other_meta, "no store of pytest-repoagent"),
        (sqlite_database, "cannot be used as a store"),
        (text_file, "cannot be used as a store"),
        (empty_file, "cannot be used as a store"),
        (Path.mkdir, "cannot be used as a store"),
        (newer_store, "schema version 4.*knows only 3.*upgrade"),
        (damaged_log, "damaged log.*store.duckdb.wal away.*ingest"),
    ],
)
def test_a_file_that_is_no_store_of_ours_is_refused_and_left_alone(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "store.duckdb"
    make(path)
    before = path.is_file() and hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(StoreUnusable, match=words) as caught:
        StoreWriter(path).write([rollout([final()])])
    with pytest.raises(StoreUnusable, match=words):
        connect(path)
    assert isinstance(caught.value, UsageError)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == (path.is_file() and hashlib.sha256(path.read_bytes()).digest())


def test_a_store_that_is_not_there_is_the_users_mistake(store: Path) -> None:
    with pytest.raises(UsageError, match=f"no store at {re.escape(str(store))}.*ingest"):
        query(store, "FROM rollouts")
    assert not store.parent.exists()


def test_a_rollout_that_is_not_recorded_is_named(store: Path) -> None:
    StoreWriter(store).write([])
    with pytest.raises(UsageError, match="no rollout r7"):
        load_rollout(store, "r7")


def test_a_folder_that_cannot_be_made_is_an_infrastructure_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="cannot be written") as caught:
        StoreWriter(tmp_path / "file" / "store.duckdb").write([])
    assert isinstance(caught.value.__cause__, OSError)


def test_a_full_disk_is_an_infrastructure_error_and_costs_nothing_acknowledged(store: Path) -> None:
    script = """
from pytest_repoagent.errors import InfrastructureError
StoreWriter(store).write([rollout([final()], rollout_id="before")])
limit = store.stat().st_size + 400_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    for burst in range(100):
        name = f"r{burst}"
        StoreWriter(store).write([rollout([final()], rollout_id=name, text=os.urandom(30_000).hex())])
        print(name)
except InfrastructureError as error:
    print(repr(str(error)), type(error.__cause__).__module__)
"""
    *acknowledged, error = start(script, store).communicate()[0].splitlines()
    assert "cannot be written" in error
    assert error.endswith("duckdb")
    assert 0 < len(acknowledged) < 100
    assert {"before", *acknowledged} <= set(ids(store))
    assert StoreWriter(store).write([rollout([final()], rollout_id="after")]) == 1


# What the store says.


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("filled") / "store.duckdb"
    lenient, garbage = bad("missing_required:content", lenient=True), bad("no_json")
    spoiled: dict[str, Any] = {"outcome": "provider_error", "cost_usd": 1.0, "tokens": (1000, 1), "duration_s": 1.0}
    later: dict[str, Any] = {
        "run_id": "run2",
        "run_started_at": "2026-11-21T09:00:00+00:00",
        "started_at": "2026-11-21T09:00:01+00:00",
    }
    StoreWriter(store).write(
        [
            rollout([read(), write(), final()], success=True, cost_usd=0.5, tokens=(100, 10), duration_s=2.0),
            rollout(
                [lenient, garbage, read(ok=False), final()],
                task="quixbugs/lis",
                success=False,
                loops=1,
                cost_usd=0.25,
                tokens=(100, 10),
                duration_s=4.0,
            ),
            rollout([read(), read()], index=1, outcome="max_iters", duration_s=6.0),
            rollout([garbage], index=2, **spoiled),
            rollout([final()], success=True, duration_s=8.0, **later),
            rollout([], model="builtim:broken", outcome="infrastructure_error", **later),
        ]
    )
    return store


def one(store: Path, sql: str) -> dict[str, Any]:
    names, rows = query(store, sql)
    assert len(rows) == 1
    return dict(zip(names, rows[0], strict=True))


def close(row: dict[str, Any], **expected: Any) -> None:
    for name, value in expected.items():
        assert row[name] == (pytest.approx(value) if isinstance(value, float) else value), name


def test_run_summary_leaves_spoiled_rollouts_out_of_denominators(filled: Path) -> None:
    row = one(filled, "FROM run_summary WHERE run_id = 'run1'")
    close(
        row,
        model="builtin:novice",
        suite="quixbugs_heldout",
        split="heldout",
        settings_hash="abc",
        rollouts=4,
        counted=3,
        tasks=2,
        strict_valid=7 / 9,
        lenient_valid=8 / 9,
        executed_ok=4 / 7,
        any_parse_error=1 / 3,
        mean_parse_errors=2 / 3,
        loop_detections=1,
        loop_rate=1 / 3,
        reached_write=1 / 3,
        mean_steps=3.0,
        judged=2,
        pass_rate=0.5,
        prompt_tokens=300 + 400 + 1000,
        completion_tokens=30 + 40 + 1,
        cost_usd=1.75,
        total_duration_s=13.0,
        mean_duration_s=4.0,
        started_at=datetime(2026, 11, 20, 10, 0, 0, 125000),
    )


def test_model_comparison_pools_runs(filled: Path) -> None:
    row = one(filled, "FROM model_comparison WHERE model = 'builtin:novice'")
    close(row, runs=2, rollouts=5, counted=4, tasks=2, judged=3, strict_valid=8 / 10, lenient_valid=9 / 10)
    close(row, executed_ok=4 / 7, any_parse_error=0.25, mean_parse_errors=0.5, pass_rate=2 / 3, mean_steps=2.5)
    assert "run_id" not in row


def test_a_model_with_nothing_counted_has_no_rates(filled: Path) -> None:
    row = one(filled, "FROM model_comparison WHERE model = 'builtim:broken'")
    close(row, rollouts=1, counted=0, tasks=0, judged=0, prompt_tokens=None, cost_usd=None)
    rates = ("strict_valid", "lenient_valid", "executed_ok", "any_parse_error", "loop_rate", "pass_rate", "mean_steps")
    assert {row[name] for name in rates} == {None}


def test_run_history_compares_with_the_run_before(filled: Path) -> None:
    _, rows = query(
        filled,
        "SELECT run_id, started_at, commit, strict_valid_change, pass_rate_change FROM run_history "
        "WHERE model = 'builtin:novice'",
    )
    assert rows[0] == ("run1", datetime(2026, 11, 20, 9, 59, 59), "4257f44", None, None)
    assert rows[1][:3] == ("run2", datetime(2026, 11, 21, 9), "4257f44")
    assert rows[1][3:] == pytest.approx((1 - 7 / 9, 0.5))


def test_task_matrix(filled: Path) -> None:
    assert query(filled, "FROM task_matrix")[1] == [
        ("quixbugs/gcd", "builtin:novice", 3, 2, 1.0, 0.0),
        ("quixbugs/lis", "builtin:novice", 1, 0, 0.0, 2.0),
    ]


def test_parse_error_breakdown(filled: Path) -> None:
    assert query(filled, "FROM parse_error_breakdown")[1] == [
        ("builtin:novice", "missing_required", 1, 0.1),
        ("builtin:novice", "no_json", 1, 0.1),
    ]


def test_tool_breakdown(filled: Path) -> None:
    assert query(filled, "FROM tool_breakdown")[1] == [
        ("builtin:novice", "read_file", 4, 3, 0.75, 0.8),
        ("builtin:novice", "write_file", 1, 1, 1.0, 0.2),
    ]


def test_step_histogram(filled: Path) -> None:
    assert query(filled, "FROM step_histogram")[1] == [
        ("builtin:novice", 1, 1, 1),
        ("builtin:novice", 2, 1, 0),
        ("builtin:novice", 3, 1, 1),
        ("builtin:novice", 4, 1, 0),
    ]


def test_cost_by_model_counts_what_was_spent_on_spoiled_rollouts(filled: Path) -> None:
    row = one(filled, "FROM cost_by_model WHERE model = 'builtin:novice'")
    close(row, rollouts=5, priced=3, prompt_tokens=1700, completion_tokens=71, cost_usd=1.75)
    close(row, rollout_usd=1.75 / 3, pass_usd=1.75)


def test_run_totals_and_recorded_keys(filled: Path) -> None:
    (row,) = run_totals(filled, "run1")
    assert row["parse_errors_by_code"] == {"missing_required": 1, "no_json": 1}
    assert math.isclose(row["strict_valid"], 7 / 9)
    assert recorded_keys(filled, "run1") == {
        ("builtin:novice", "quixbugs/gcd", 0),
        ("builtin:novice", "quixbugs/gcd", 1),
        ("builtin:novice", "quixbugs/gcd", 2),
        ("builtin:novice", "quixbugs/lis", 0),
    }
    assert run_totals(filled, "none") == []


def test_a_store_with_other_views_gets_those_of_this_version(store: Path) -> None:
    StoreWriter(store).write([rollout([final()])])
    with duckdb.connect(store) as older:
        older.execute("CREATE OR REPLACE VIEW task_matrix AS SELECT 1 AS old")
        older.execute("UPDATE meta SET value = 'old' WHERE key = 'views_sha256'")
    StoreWriter(store).write([])
    assert query(store, "FROM task_matrix")[0][0] == "task_id"


def test_run_sandbox_tells_runs_and_kinds_of_test_runs_apart(store: Path) -> None:
    split, shared = (rollout([final()], success=True, task=f"t/{judge}") for judge in ("split", "in_process"))
    shared = replace(shared, tests=tuple(replace(t, judge="in_process") for t in shared.tests))
    never = rollout([final()], success=None)
    other = rollout([final()], success=True, run_id="run2")
    StoreWriter(store).write([split, replace(split, rollout_id="again"), shared, never, other])
    kind = {"run_id": "run1", "runner": "warm", "sandbox": "full"}
    assert run_sandbox(store, "run1") == [
        {**kind, "judge": "split", "test_runs": 2},
        {**kind, "judge": "in_process", "test_runs": 1},
    ]
    assert run_sandbox(store, "none") == []
    assert query(store, "SELECT DISTINCT runner, sandbox FROM rollouts")[1] == [("warm", "full")]


# Stores of earlier versions.


def version_1(path: Path, *recorded: Rollout) -> None:
    """A store as version 1 made it."""
    older(path, 1, *recorded)


def untold(one: Rollout) -> Rollout:
    """The rollout as a store of version 1 keeps it."""
    return replace(one, tests=tuple(replace(test, judge=None, sandbox=None) for test in one.tests))


def shape(store: Path) -> list[tuple[Any, ...]]:
    """The version, and the columns of every table and view."""
    version = query(store, "SELECT value FROM meta WHERE key = 'schema_version'")[1]
    columns = "table_name, column_name, data_type, is_nullable"
    _, found = query(store, f"SELECT {columns} FROM duckdb_columns() WHERE NOT internal ORDER BY 1, column_index")
    return version + found


def test_a_store_of_version_1_can_be_read_and_is_left_alone(store: Path) -> None:
    old = rollout([write(), final()], success=True, rollout_id="old")
    version_1(store, old)
    before = store.read_bytes()
    assert load_rollout(store, "old") == untold(old)
    assert one(store, "SELECT run_id, pass_rate FROM run_history") == {"run_id": "run1", "pass_rate": 1.0}
    assert recorded_keys(store, "run1") == {("builtin:novice", "quixbugs/gcd", 0)}
    assert store.read_bytes() == before


def test_writing_brings_a_store_of_version_1_up_to_this_one(store: Path) -> None:
    old, new = (rollout([write(), final()], success=True, rollout_id=name) for name in ("old", "new"))
    version_1(store, old)
    writer = StoreWriter(store)
    assert [writer.write(batch) for batch in ([old, new], [old, new])] == [1, 0]
    fresh = store.with_name("fresh.duckdb")
    StoreWriter(fresh).write([])
    assert shape(store) == shape(fresh)
    assert [load_rollout(store, name) for name in ("old", "new")] == [untold(old), new]
    assert query(store, "SELECT rollout_id, runner, sandbox FROM rollouts ORDER BY ALL")[1] == [
        ("new", "warm", "full"),
        ("old", None, None),
    ]
    assert query(store, "SELECT judge, sandbox, test_runs FROM run_sandbox ORDER BY ALL")[1] == [
        ("split", "full", 1),
        (None, None, 1),
    ]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=st.lists(_rollouts, min_size=1, max_size=4))
def test_nothing_of_a_store_of_version_2_is_lost(
    drawn: list[Rollout], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = tmp_path_factory.mktemp("migrated") / "store.duckdb"
    made = [replace(each, rollout_id=uuid.uuid4().hex) for each in drawn]
    older(store, 2, *made)
    names, before = query(store, "FROM steps ORDER BY rowid")
    assert [load_rollout(store, r.rollout_id) for r in made] == made
    StoreWriter(store).write([])
    assert [load_rollout(store, r.rollout_id) for r in made] == made
    assert query(store, f"SELECT {', '.join(names)} FROM steps ORDER BY rowid")[1] == before


def test_a_copy_of_the_older_store_is_left(store: Path) -> None:
    old = rollout([write(), final()], success=True, rollout_id="old")
    version_1(store, old)
    before = store.read_bytes()
    StoreWriter(store).write([rollout([final()], rollout_id="new")])
    StoreWriter(store).write([rollout([final()], rollout_id="newer")])
    copies = [path for path in store.parent.iterdir() if ".v" in path.name]
    assert copies == [store.with_name(f"{store.name}.v1")]
    assert copies[0].read_bytes() == before


def test_a_copy_that_was_cut_short_is_none(store: Path) -> None:
    version_1(store, rollout([final()], rollout_id="old"))
    before = store.read_bytes()
    script = """
import shutil
shutil.copyfile = lambda old, new: (new.write_bytes(b"half"), os.kill(os.getpid(), signal.SIGKILL))
StoreWriter(store).write([])
"""
    start(script, store).communicate()
    assert not store.with_name(f"{store.name}.v1").exists()
    assert ids(store) == ["old"]
    StoreWriter(store).write([])
    assert store.with_name(f"{store.name}.v1").read_bytes() == before


def test_a_migration_that_fails_half_way_changes_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_1(store, rollout([final()], rollout_id="old"))
    before, plain = shape(store), connection.sql
    with monkeypatch.context() as patch:
        patch.setattr(connection, "sql", lambda name: plain(name) + "SELECT error('stopped');")
        with pytest.raises(ValueError, match="stopped"):
            StoreWriter(store).write([])
    assert shape(store) == before
    StoreWriter(store).write([])
    assert shape(store) != before
    assert ids(store) == ["old"]


def test_a_writer_killed_after_a_migration_leaves_a_store_that_works(store: Path) -> None:
    version_1(store, rollout([final()], rollout_id="old"))
    script = """
from pytest_repoagent.store import connection
plain = connection.sql
connection.sql = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "views.sql" else plain(name)
StoreWriter(store).write([])
"""
    start(script, store).communicate()
    assert ids(store) == ["old"]
    assert query(store, "SELECT value FROM meta WHERE key = 'schema_version'")[1] == [("3",)]
    assert StoreWriter(store).write([rollout([final()], rollout_id="new")]) == 1
    assert ids(store) == ["new", "old"]


def sections(sql: str, keyword: str) -> dict[str, str]:
    """The text of each statement that makes something, by its name, with the comment above it."""
    found = re.findall(rf"((?:^--.*\n)+)^{keyword} (\w+)([\s\S]*?;$)", sql, re.MULTILINE)
    return {name: comment + body for comment, name, body in found}


def test_every_column_of_every_table_is_explained(filled: Path) -> None:
    _, columns = query(filled, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal")
    tables = sections(connection.sql("schema.sql"), "CREATE TABLE")
    assert set(tables) == {"meta", "runs", "rollouts", "steps", "test_runs"}
    for table, column in columns:
        if table in tables:
            assert re.search(rf"^    {column} [A-Z].*-- \S", tables[table], re.MULTILINE), f"{table}.{column}"


def test_every_column_of_every_view_is_explained(filled: Path) -> None:
    _, columns = query(
        filled,
        "SELECT view_name, column_name FROM duckdb_columns() JOIN duckdb_views() ON view_name = table_name "
        "WHERE NOT duckdb_views.internal",
    )
    views = sections(connection.sql("views.sql"), "CREATE OR REPLACE VIEW")
    assert set(views) == {view for view, _ in columns}
    for view, column in columns:
        text = views[view] + (views["metrics"] if "as in metrics" in views[view].partition("\nCREATE")[0] else "")
        assert re.search(rf"(?: AS |^    (?:\w\.)?){column},? +-- \S", text, re.MULTILINE), f"{view}.{column}"


def test_long_text_is_compressed(store: Path) -> None:
    text = "the same line of a tool's result\n" * 3000
    StoreWriter(store).write([rollout([read()] * 20, text=text)])
    assert store.stat().st_size < 20 * len(text)  # a step holds it three times
    shutil.copy(store, store.with_name("copy.duckdb"))
    with closing(duckdb.connect(store.with_name("copy.duckdb"), read_only=True)) as copy:
        assert copy.execute("SELECT max(length(result)) FROM steps").fetchone() == (len(text),)
