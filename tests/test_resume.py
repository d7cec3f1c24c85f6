"""Runs that were killed, stopped or spoiled, and sessions that go on with them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import eval_kit
import pytest
from eval_kit import make_project, run, stored
from process_kit import all_die, descendants, eventually

EACH_PROCESS = pytest.mark.parametrize("n", ["-n0", "-n2"])
QUICK = "--test-policy=never"
OUTCOMES = "SELECT task_id, outcome, attempt FROM rollouts ORDER BY ALL"


def run_dir(pytester: pytest.Pytester) -> Path:
    (folder,) = (pytester.path / ".repoagent/traces").iterdir()
    return folder


def finished(pytester: pytest.Pytester) -> set[str]:
    traces = (pytester.path / ".repoagent/traces").glob("*/*.jsonl")
    return {trace.name for trace in traces if b'"run_end"' in trace.read_bytes()}


def start(pytester: pytest.Pytester, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *eval_kit.COMMON, *args, "test_items.py"]
    return subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL, start_new_session=True)


def kill(session: subprocess.Popen[bytes]) -> None:
    below = descendants(session.pid)
    os.killpg(session.pid, signal.SIGKILL)
    session.wait()
    assert all_die(below)


@pytest.mark.parametrize(("n", "k"), [("-n0", 1), ("-n0", 3), ("-n2", 2)])
def test_a_killed_run_is_completed_and_what_was_finished_is_not_made_again(
    pytester: pytest.Pytester, n: str, k: int
) -> None:
    make_project(pytester, eval_kit.NAMES)
    args = (n, f"--concurrency={k}", "--model=fake:slow@0.4", "--rollouts=3", QUICK)
    session = start(pytester, *args)
    assert eventually(lambda: len(finished(pytester)) >= 3, 60)
    kill(session)
    before = finished(pytester)
    result = run(pytester, *args, "--resume=last")
    result.assert_outcomes(passed=24)
    assert len(before) < 24
    assert before < finished(pytester)
    assert len(finished(pytester)) == 24
    assert stored(
        pytester, "SELECT count(*), count(DISTINCT (task_id, rollout)), count(DISTINCT run_id) FROM rollouts"
    ) == [(24, 24, 1)]
    result.stdout.fnmatch_lines([f"repoagent: resumes the run of *, which has {len(before)} rollouts"])


@EACH_PROCESS
def test_the_rest_of_a_run_of_some_items_is_made_later(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    run(pytester, "-n2", "--model=oracle", QUICK, "-k", "alpha").assert_outcomes(passed=1)
    name = run_dir(pytester).name
    run(pytester, "--model=repair", QUICK, "-k", "alpha").assert_outcomes(passed=1)
    result = run(pytester, n, "--model=oracle", QUICK, f"--resume={name[:6]}", "--rollouts=2")
    result.assert_outcomes(passed=8)
    rows = stored(pytester, "SELECT run_id, model, count(*) FROM rollouts GROUP BY ALL ORDER BY model")
    assert [(model, count) for _, model, count in rows] == [("oracle", 8), ("repair", 1)]
    assert rows[0][0] == name


@EACH_PROCESS
def test_errors_are_kept_unless_they_are_to_be_made_again(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    args = (n, "--model=fake:refuse@beta", QUICK, "--concurrency=2")
    run(pytester, *args).assert_outcomes(passed=3, errors=1)
    run(pytester, *args, "--resume=last").assert_outcomes(passed=3, errors=1)
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(4,)]
    again = run(pytester, *args, "--resume=last", "--rerun-errors")
    again.assert_outcomes(passed=3, errors=1)
    again.stdout.fnmatch_lines(["repoagent: resumes the run of *, which has 4 rollouts, 1 of them to be made again"])
    assert [row for row in stored(pytester, OUTCOMES) if row[0] == "tiny/beta"] == [
        ("tiny/beta", "provider_error", 0),
        ("tiny/beta", "provider_error", 1),
    ]
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(5,)]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--max-iters=7"], "*other settings: --max-iters was 20 and is 7; give those*"),
        (["--seed=3", "--tag=other"], "*: --seed was 0 and is 3; --tag was None and is other; give those*"),
        (["--model=repair"], "*: --model=repair is new; *"),
        (["--suite=minibugs_train"], "*: --suite was tiny; *"),
        (["--resume=nothing"], "--resume=nothing names no run that can be resumed in *; there are *"),
        (["--store=other.duckdb"], "--resume=last names no run that can be resumed in *; there are none"),
    ],
)
def test_another_run_is_not_resumed(pytester: pytest.Pytester, args: list[str], says: str) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", QUICK, "-k", "alpha").assert_outcomes(passed=1)
    result = run(pytester, "--model=oracle", QUICK, "--resume=last", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert len([line for line in result.stderr.lines if line.strip()]) == 1
    assert len(finished(pytester)) == 1


def test_a_changed_suite_is_not_resumed(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", QUICK, "-k", "alpha").assert_outcomes(passed=1)
    make_project(pytester, eval_kit.NAMES)
    result = run(pytester, "--model=oracle", QUICK, "--resume=last")
    result.stderr.fnmatch_lines(["ERROR: *: suite tiny has changed; *"])


def test_errors_of_which_run(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--model=oracle", "--rerun-errors")
    result.stderr.fnmatch_lines(["ERROR: --rerun-errors goes with --resume=RUN: *"])


def test_a_run_that_is_still_running_is_not_resumed(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    session = start(pytester, "--model=fake:slow@1", QUICK)
    try:
        assert eventually(lambda: finished(pytester), 60)
        result = run(pytester, "--model=fake:slow@1", QUICK, "--resume=last")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: run * cannot be resumed: another session is still at it"])
        assert session.wait(60) == 0
    finally:
        session.kill()
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(4,)]


def test_a_run_whose_traces_are_gone_is_not_made_twice(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", QUICK).assert_outcomes(passed=4)
    for trace in run_dir(pytester).glob("beta*"):
        trace.unlink()
    result = run(pytester, "--model=oracle", QUICK, "--resume=last")
    result.stderr.fnmatch_lines(["ERROR: run * cannot be resumed: 1 of its traces are gone from *beta-r0-*; *"])


def test_a_lost_store_is_made_anew_and_the_run_goes_on(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", QUICK, "-k", "alpha or beta").assert_outcomes(passed=2)
    (pytester.path / ".repoagent/store.duckdb").unlink()
    run(pytester, "--model=oracle", QUICK, "--resume=last").assert_outcomes(passed=4)
    assert stored(pytester, "SELECT count(*), max(attempt) FROM rollouts") == [(4, 0)]


def test_a_folder_that_names_no_run_is_said(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", QUICK, "-k", "alpha").assert_outcomes(passed=1)
    shutil.copytree(run_dir(pytester), pytester.path / ".repoagent/traces/copy")
    (pytester.path / ".repoagent/traces/copy/run.json").write_text(json.dumps({"run_id": 1}))
    result = run(pytester, "--model=oracle", QUICK, "--resume=last")
    result.stderr.fnmatch_lines(["ERROR: *copy/run.json does not name a run *"])
