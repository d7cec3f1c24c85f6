"""Sessions with several rollouts in flight: what a user sees is what one at a time would show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import eval_kit
import pytest
from eval_kit import make_project, run, stored

EACH_PROCESS = pytest.mark.parametrize("n", ["-n0", "-n2"])
QUICK = "--test-policy=never"
MODELS = """
import logging, os, sys, time
from pathlib import Path
from pytest_repoagent.models.base import Reply

CALL = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":9}}'
FINAL = '{"type":"final","summary":"done","changes":[]}'
DEADLINE_S = 30


class Meeting:
    # Its first reply waits until so many rollouts have begun, and notes how many were there at once.
    concurrency = 3

    def __init__(self, name):
        self.number = int(name)

    def check(self):
        Path("in").mkdir(exist_ok=True)
        Path("out").mkdir(exist_ok=True)

    def start(self, key):
        self_, key_ = self, key

        class Conversation:
            def reply(self, messages):
                return self_.reply(key_, messages)

        return Conversation()

    def reply(self, key, messages):
        me = key.task_id.replace("/", "-") + str(key.index)
        (Path("in") / me).touch()
        until = time.monotonic() + DEADLINE_S
        while len(os.listdir("in")) < self.number and time.monotonic() < until:
            time.sleep(0.01)
        begun = len(os.listdir("in"))  # counted first: what ends meanwhile can only make too few of them
        with open("at_once", "a") as file:
            file.write(f"{begun - len(os.listdir('out'))}\\n")
        (Path("out") / me).touch()
        return Reply(FINAL, "stop")


class Talking(Meeting):
    # Says its task's name in every way there is, while others are at it.
    def reply(self, key, messages):
        super().reply(key, messages)
        name = key.task_id.partition("/")[2]
        print(f"printed by {name}")
        print(f"complained by {name}", file=sys.stderr)
        logging.getLogger("talking").warning("logged by %s", name)
        return Reply("nonsense", "stop")


class Endless(Meeting):
    # The first task's rollout ends when the others have begun; theirs take a minute a reply.
    def reply(self, key, messages):
        (Path("in") / key.task_id.replace("/", "-")).touch()
        if key.task_id.endswith("alpha"):
            while len(os.listdir("in")) < self.number:
                time.sleep(0.01)
            return Reply("nonsense", "stop")
        time.sleep(60)
        return Reply(CALL, "stop")


def pytest_repoagent_models():
    models = {"meeting": Meeting, "talking": Talking, "endless": Endless}
    return {name: lambda name, context, kind=kind: kind(name) for name, kind in models.items()}
"""


def project(pytester: pytest.Pytester, names: tuple[str, ...] = eval_kit.NAMES, items: str = eval_kit.ITEMS) -> None:
    make_project(pytester, names, items)
    pytester.makeconftest(MODELS)


def at_once(pytester: pytest.Pytester) -> list[int]:
    return [int(line) for line in (pytester.path / "at_once").read_text().split()]


def traces(pytester: pytest.Pytester) -> list[Path]:
    return list((pytester.path / ".repoagent/traces").glob("*/*.jsonl"))


@pytest.mark.parametrize(("n", "k", "most"), [("-n0", 4, 4), ("-n2", 3, 6)])
def test_so_many_rollouts_are_in_flight_and_each_is_run_once(
    pytester: pytest.Pytester, n: str, k: int, most: int
) -> None:
    project(pytester)
    result = run(pytester, n, f"--model=meeting:{most}", f"--concurrency={k}", "--rollouts=3", QUICK)
    result.assert_outcomes(passed=24)
    assert 2 <= max(at_once(pytester)) <= most
    assert len(at_once(pytester)) == 24
    assert len(list((pytester.path / "in").iterdir())) == len(traces(pytester)) == 24
    assert stored(pytester, "SELECT count(*), count(DISTINCT (task_id, rollout)), max(attempt) FROM rollouts") == [
        (24, 24, 0)
    ]


def test_items_stay_in_order(pytester: pytest.Pytester) -> None:
    project(pytester)
    result = run(pytester, "--model=meeting:4", "--concurrency=4", "-v", QUICK)
    ran = [line for line in result.stdout.lines if "PASSED" in line]
    assert [line.partition("[")[2].partition("-r0")[0] for line in ran] == sorted(eval_kit.NAMES)


@pytest.mark.parametrize(
    ("n", "says"),
    [
        ("-n0", "concurrency 3"),
        ("-n2", "concurrency 1 in each of 2 processes, up to 2 rollouts at once"),
    ],
)
def test_a_model_says_what_suits_it_and_the_summary_says_what_it_was(
    pytester: pytest.Pytester, n: str, says: str
) -> None:
    project(pytester, eval_kit.NAMES[:3])
    result = run(pytester, n, "--model=meeting:1", QUICK)
    result.stdout.fnmatch_lines([f"repoagent: {says}", "*= repoagent =*", says])


@EACH_PROCESS
def test_only_what_is_selected_is_started(pytester: pytest.Pytester, n: str) -> None:
    project(
        pytester,
        items="import pytest\ndef test_item(rollout): pass\n"
        "@pytest.mark.skip\ndef test_skipped(rollout): pass\n"
        "@pytest.mark.xfail(run=False)\ndef test_not_run(rollout): pass\n",
    )
    result = run(pytester, n, "--model=meeting:1", "--concurrency=4", "-k", "beta", QUICK)
    result.assert_outcomes(passed=1, skipped=1, xfailed=1)
    assert len(traces(pytester)) == 1


@EACH_PROCESS
def test_x_ends_the_session_at_once_and_leaves_what_is_in_flight_unfinished(pytester: pytest.Pytester, n: str) -> None:
    project(pytester)
    args = [n, "--model=endless:4", "--concurrency=4", "-x", QUICK, "--max-iters=1"]
    session = subprocess.run(
        [sys.executable, "-m", "pytest", *eval_kit.COMMON, *args],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert session.returncode != 0
    assert "did not run, the session was stopped" in session.stdout
    assert stored(pytester, "SELECT task_id FROM rollouts") == [("tiny/alpha",)]
    assert 4 <= len(traces(pytester)) <= 8


def test_ctrl_c_ends_the_session_at_once(pytester: pytest.Pytester) -> None:
    project(pytester)
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", *eval_kit.COMMON, "--model=endless:4", "--concurrency=4", QUICK],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while len(traces(pytester)) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(session.pid, signal.SIGINT)
    out, _ = session.communicate(timeout=40)
    assert session.returncode == 2
    assert b"did not run, the session was stopped" in out
    assert list((pytester.path / ".repoagent/traces").glob("*/locks")) == []


@EACH_PROCESS
def test_what_a_rollout_says_is_shown_with_its_own_item(pytester: pytest.Pytester, n: str) -> None:
    project(pytester, eval_kit.NAMES[:4], items="def test_item(rollout): assert not rollout.steps\n")
    result = run(pytester, n, "--model=talking:4", "--concurrency=4", QUICK, "--max-iters=1")
    shown: dict[str, list[str]] = {}
    name = ""
    for line in result.stdout.lines:
        if line.startswith("___") and "test_item[" in line:
            name = line.partition("[")[2].partition("-")[0]
        if (" by " in line and line.startswith(("printed", "complained"))) or "logged by" in line:
            shown.setdefault(name, []).append(line)
    for name in eval_kit.NAMES[:4]:
        assert len(shown[name]) == 3, shown
        assert all(line.endswith(f" by {name}") for line in shown[name]), shown


def test_what_is_said_before_an_item_is_set_up_is_kept_apart_too(pytester: pytest.Pytester) -> None:
    project(pytester, eval_kit.NAMES[:2])
    with (pytester.path / "conftest.py").open("a") as file:
        file.write(
            """
import pickle
import threading
import pytest
from pytest_repoagent import output

@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup():
    def say():
        with output.kept() as own:
            print("aside")
            print("aloud", file=sys.stderr)
        kept.append({name: text.getvalue() for name, text in own.texts.items()})
    kept = []
    thread = threading.Thread(target=say)
    thread.start()
    thread.join()
    assert kept == [{"stdout": "aside\\n", "stderr": "aloud\\n", "log": ""}]
    assert pickle.loads(pickle.dumps(sys)) is sys  # as Ray is sent a model
    return (yield)
"""
        )
    run(pytester, "-n0", "--model=talking:1", "--concurrency=2", QUICK).assert_outcomes(passed=2)


def test_a_rollout_that_kills_its_process_costs_no_other_one(pytester: pytest.Pytester) -> None:
    make_project(pytester, eval_kit.NAMES)
    result = run(pytester, "-n2", "--model=fake:kill@zeta", "--concurrency=3", QUICK)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["test_items.py::test_item?zeta-r0? was reported, but its rollout is not in the store"])
    assert len([path for path in traces(pytester) if "zeta" in path.name]) <= 3
    assert {task for (task,) in stored(pytester, "SELECT task_id FROM rollouts")} == {
        f"tiny/{name}" for name in eval_kit.NAMES if name != "zeta"
    }


@EACH_PROCESS
def test_a_spoiled_rollout_is_told_as_often_as_it_is_asked_for(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    run(pytester, n, "--model=fake:refuse@beta", "--concurrency=4", QUICK).assert_outcomes(passed=3, errors=1)
    assert stored(pytester, "SELECT count(*), max(attempt) FROM rollouts") == [(4, 0)]


def test_waiting_for_the_test_runner_is_not_the_rollouts_time(pytester: pytest.Pytester) -> None:
    project(pytester, eval_kit.NAMES[:5])
    with (pytester.path / "conftest.py").open("a") as file:
        file.write(
            """
from pytest_repoagent.testrun.base import Verdict

class Slow:
    name = sandbox = "slow"
    def check(self): pass
    def close(self): pass
    def run(self, job):
        time.sleep(1.5)
        return Verdict(True, "passed", {"passed": 1}, (), "", 1.5, 0.0, "slow", "in_process", "slow")

def pytest_repoagent_runners():
    return {"slow": lambda sandbox: Slow()}

class Writer(Meeting):
    def reply(self, key, messages):
        if len(messages) > 2:
            return Reply(FINAL, "stop")
        return Reply(CALL.replace("list_files", "write_file").replace(
            '"rel_dir":".","max_files":9', '"rel_path":"python_programs/x.py","content":"1"'), "stop")

_models = pytest_repoagent_models
def pytest_repoagent_models():
    return {**_models(), "writer": lambda name, context: Writer("1")}
"""
        )
    result = run(pytester, "--model=writer", "--concurrency=5", "--runner=slow", "--rollout-timeout=6")
    result.assert_outcomes(passed=5)
    assert stored(pytester, "SELECT DISTINCT outcome, max(duration_s) > 6 FROM rollouts GROUP BY ALL") == [
        ("final", True)
    ]


def test_more_files_than_this_machine_allows_is_a_usage_error(pytester: pytest.Pytester) -> None:
    project(pytester)
    result = pytester.run(
        "sh",
        "-c",
        f"ulimit -n 300; exec {sys.executable} -m pytest {' '.join(eval_kit.COMMON)} --model=meeting:1 "
        f"--concurrency=200 --rollouts=30 {QUICK}",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --concurrency=200 needs 1000 open files, and a process may have 300 here: *"])
