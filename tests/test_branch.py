from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer, LoopbackServer
from pairs_kit import fill, suite
from process_kit import eventually

from pytest_repoagent.cli import main
from pytest_repoagent.protocol.render import prompt_sha256
from pytest_repoagent.store.reader import query

LOOK = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":9}}'
STATES = 16  # four tasks; the oracle lists, reads, writes and ends


@pytest.fixture
def store(tmp_path: Path) -> Path:
    fill(tmp_path / "store.duckdb", ["oracle"])
    return tmp_path / "store.duckdb"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-nobody")


def branch(store: Path, student: str = "novice:oracle@0.5", *options: str) -> int:
    return main(["build", "branch", "--db", str(store), "--student", student, *options])


def asks(server: LoopbackServer, *options: str) -> list[str]:
    return ["openai:loopback/model", "--base-url", server.url, "--retries", "0", *options]


def rows(store: Path, columns: str = "count(*)") -> list[tuple[Any, ...]]:
    return query(store, f"SELECT {columns} FROM branches ORDER BY ALL")[1]


def test_a_reply_for_each_state_and_sample_is_recorded(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert branch(store, "novice:oracle@0.5", "--samples", "3") == 0
    out = capsys.readouterr().out
    assert f"{3 * STATES} questions at {STATES} states, 0 were answered before" in out
    assert rows(store) == [(3 * STATES,)]
    facts = rows(store, "DISTINCT model, temperature, max_tokens, sample, error")
    assert facts == [("novice:oracle@0.5", 0.7, 2048, sample, None) for sample in range(3)]
    same = "SELECT count(*) FROM branches b JOIN steps s ON s.prompt_sha256 = b.state_hash AND s.step = b.step"
    assert query(store, f"{same} AND s.rollout_id = b.rollout_id")[1] == [(3 * STATES,)]
    injected = rows(store, "coalesce(extra->>'injected', 'none'), coalesce(error_family, 'none'), strict_valid")
    assert all(was == measured and (was == "none") == valid for was, measured, valid in injected)
    assert len({was for was, *_ in injected}) > 5


def test_only_what_is_missing_is_asked(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branch(store, "novice:oracle@0.5", "--max-states", "5")
    first = rows(store, "state_hash, sample, raw, asked_at")
    branch(store, "novice:oracle@0.5", "--samples", "2")
    assert f"{2 * STATES - 5} questions at {STATES} states, 5 were answered before" in capsys.readouterr().out
    assert set(first) < set(rows(store, "state_hash, sample, raw, asked_at"))
    before = rows(store, "*")
    branch(store, "novice:oracle@0.5", "--samples", "2")
    assert rows(store, "*") == before
    branch(store, "novice:oracle@0.5", "--temperature", "0")
    assert rows(store) == [(3 * STATES,)]


def test_the_same_questions_get_the_same_seeds(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other/store.duckdb"
    other.parent.mkdir()
    fill(other, ["oracle"])
    for one, concurrency in ((store, "1"), (other, "5")):
        branch(one, "novice:oracle@0.5", "--concurrency", concurrency)
    columns = "state_hash, sample, seed, raw"
    assert rows(store, columns) == rows(other, columns)
    assert len({seed for _, _, seed, _ in rows(store, columns)}) == STATES


def test_held_out_and_failed_rollouts_and_the_student_itself_are_no_teachers(store: Path) -> None:
    fill(store, ["oracle"], suite("heldout"), seed=5)
    fill(store, ["novice:oracle@0.9", "novice:oracle@0.5"], max_iters=2)
    assert branch(store) == 0
    assert rows(store) == [(STATES,)]
    said = query(store, "SELECT DISTINCT r.model, r.split FROM branches b JOIN rollouts r USING (rollout_id)")[1]
    assert said == [("oracle", "train")]


def test_own_states_are_those_of_the_students_rollouts_on_training_tasks(store: Path) -> None:
    student = "novice:oracle@0.9"
    fill(store, [student, "novice:oracle@0.5"], max_iters=6)
    fill(store, [student], suite("heldout"), seed=5, max_iters=6)
    assert branch(store, student, "--own") == 0
    of_student = f"FROM steps JOIN rollouts USING (rollout_id) WHERE model = '{student}' AND split = 'train'"
    wanted = query(store, f"SELECT DISTINCT prompt_sha256 {of_student} ORDER BY ALL")[1]
    assert rows(store, "DISTINCT state_hash") == wanted
    assert len(wanted) > len(query(store, f"SELECT DISTINCT prompt_sha256 {of_student} AND strict_valid")[1])


def test_the_server_is_asked_with_exactly_the_recorded_prompt(store: Path) -> None:
    with LoopbackServer(lambda body: LOOK) as server:
        assert branch(store, *asks(server, "--temperature", "0.3", "--max-tokens", "77")) == 0
    assert len(server.chats) == STATES
    assert {(body["temperature"], body["max_tokens"]) for body in server.chats} == {(0.3, 77)}
    assert {(prompt_sha256(body["messages"]), body["seed"]) for body in server.chats} == {
        *rows(store, "state_hash, seed")
    }
    assert rows(store, "DISTINCT raw, finish_reason, prompt_tokens > 100, completion_tokens, cost_usd") == [
        (LOOK, "stop", True, 1, None)
    ]


def test_as_many_calls_at_once_as_asked_for(store: Path) -> None:
    now, most, lock = [0], [0], threading.Lock()
    full = threading.Event()

    def respond(body: Any) -> str:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 4:
                full.set()
        full.wait(10)
        with lock:
            now[0] -= 1
        return LOOK

    with LoopbackServer(respond) as server:
        branch(store, *asks(server, "--concurrency", "4"))
    assert most == [4]


def test_failures_are_recorded_and_asked_again(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer(lambda body: LOOK) as server:
        server.script(Answer("busy", status=503), Answer("busy", status=503), Answer(LOOK))
        assert branch(store, *asks(server, "--concurrency", "1")) == 1
        assert "2 failed: openai:loopback/model: " in capsys.readouterr().out
        causes = rows(store, "DISTINCT cause, raw, error LIKE '%503%busy%'")
        assert causes == [("provider", None, True), (None, LOOK, None)]
        assert len(server.chats) == STATES
        assert branch(store, *asks(server)) == 0
        assert len(server.chats) == STATES + 2
    assert rows(store, "count(*), count(raw), count(error)") == [(STATES, STATES, 0)]


def test_a_rejected_key_stops_everything(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer(lambda body: LOOK) as server:
        server.script(Answer(LOOK), Answer("no such key", status=401))
        assert branch(store, *asks(server, "--concurrency", "1")) == 4
        assert len(server.chats) == 2
    assert "the key was rejected" in capsys.readouterr().err
    assert rows(store, "raw") == [(LOOK,)]


@pytest.mark.parametrize("bound", [["--budget-usd", "0.003", "--price", "1,1"], ["--max-tokens-total", "3000"]])
def test_a_budget_is_kept_but_for_calls_under_way(
    store: Path, bound: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with LoopbackServer(lambda body: LOOK) as server:
        assert branch(store, *asks(server, "--concurrency", "1", *bound)) == 0
        assert f"stopped by {bound[0]}=" in capsys.readouterr().out
        ((spent, last),) = rows(store, "sum(prompt_tokens + completion_tokens), max(prompt_tokens + completion_tokens)")
        assert 3000 <= spent < 3000 + last
        assert branch(store, *asks(server)) == 0
    assert rows(store, "count(*), count(raw)") == [(STATES, STATES)]


def test_a_bound_is_refused_where_nobody_counts(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert branch(store, "novice:oracle", "--max-tokens-total", "3000", "--concurrency", "1") == 4
    assert "novice:oracle counts no tokens" in capsys.readouterr().err
    assert rows(store) == [(1,)]


def test_a_recording_is_no_student(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert branch(store, "novice:replay:last") == 4
    assert "answers from its record" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_answered_and_what_is_paid_for(store: Path) -> None:
    program = Path(sys.executable).with_name("repoagent")
    command = [str(program), "build", "branch", "--db", str(store), "--student"]
    with LoopbackServer(lambda body: Answer(LOOK, delay_s=0.3)) as server:
        words = [*command, *asks(server, "--concurrency", "2")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        assert eventually(lambda: len(server.chats) >= 4)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 130, stderr
        assert "Traceback" not in stderr
        answered = len(server.chats)
        assert 4 <= answered < STATES
        assert rows(store, "count(*), count(raw)") == [(answered, answered)]
        assert branch(store, *asks(server)) == 0
        assert len(server.chats) == STATES


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--samples", "0"], "--samples and --concurrency must be at least 1"),
        (["--temperature", "-1"], "argument --temperature: '-1' is not a number from 0"),
        (["--budget-usd", "1"], "give --price=IN,OUT"),
        (["--teacher", "somebody"], "--teacher=somebody: the store has only oracle"),
        (["--where", "false"], "there is no state to ask at among the 16 steps"),
        (["--where", "nonsense"], "--where is no condition"),
        (["--suite", "nowhere"], "there is no suite 'nowhere'"),
        (["--own"], "the store has only oracle"),
        (["--own", "--teacher", "oracle"], "--teacher is for a teacher's states, but --own asks at the student's"),
    ],
)
def test_wrong_options_are_said_before_anything_is_asked(
    store: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert branch(store, "novice:oracle", *options) == 4
    assert says in capsys.readouterr().err
    assert query(store, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'branches'")[1] == [(0,)]


def test_a_store_of_students_alone_has_no_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store.duckdb"
    fill(store, ["novice:oracle@0.5"])
    assert branch(store) == 4
    assert "the store has only the students' rollouts (novice:oracle@0.5)" in capsys.readouterr().err
