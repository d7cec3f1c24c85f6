"""Whole sessions in processes of their own: what a user sees, and that nothing is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import closing

import duckdb
import eval_kit
import pytest
from eval_kit import make_project, run, stored

from pytest_repoagent.store.reader import query
from pytest_repoagent.testrun.sandbox import layers

DISTRIBUTED = pytest.mark.parametrize("n", ["-n0", "-n2"])


@DISTRIBUTED
def test_every_item_is_run_and_recorded(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    result = run(pytester, n, "--model=oracle", "--model=repair", "--rollouts=2", "--seed=40", "--report=out/r.json")
    result.assert_outcomes(passed=16)
    rows = stored(pytester, "SELECT model, task_id, rollout, seed, success, outcome FROM rollouts ORDER BY ALL")
    assert rows == [
        (model, f"tiny/{name}", index, 40 + index, True, "final")
        for model in ("oracle", "repair")
        for name in ("alpha", "beta", "delta", "gamma")
        for index in (0, 1)
    ]
    result.stdout.fnmatch_lines(
        [
            "*= repoagent =*",
            "model*rollouts*strict*pass*",
            "oracle *8 *100.0 %*",
            "repair *8 *",
            "store: *store.duckdb*",
        ]
    )
    report = json.loads((pytester.path / "out/r.json").read_text())
    assert len(report["results"]) == 16
    assert {r["run_id"] for r in report["results"]} == {report["run_id"]}
    assert report["results"][0]["metadata"]["expected_files"]


@DISTRIBUTED
def test_item_ids_are_readable(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    one = run(pytester, n, "--model=oracle", "--rollouts=2", "--collect-only", "-q")
    assert one.stdout.lines[:3] == [f"test_items.py::test_item[{i}]" for i in ("alpha-r0", "alpha-r1", "beta-r0")]
    two = run(pytester, n, "--model=oracle", "--model=fake:a/b", "--collect-only", "-q")
    assert two.stdout.lines[:2] == [f"test_items.py::test_item[{i}]" for i in ("oracle-alpha-r0", "fake:a_b-alpha-r0")]
    assert not (pytester.path / ".repoagent").exists()


@DISTRIBUTED
def test_k_selects_and_only_the_selected_is_run(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    result = run(pytester, n, "--model=oracle", "-k", "beta or gamma")
    result.assert_outcomes(passed=2)
    assert stored(pytester, "SELECT task_id FROM rollouts ORDER BY ALL") == [("tiny/beta",), ("tiny/gamma",)]


def test_lf_runs_only_what_failed(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    pytester.makepyfile(test_items="def test_item(rollout):\n    assert rollout.task_id != 'tiny/beta'\n")
    args = [*eval_kit.COMMON[2:], "--model=oracle", "test_items.py"]
    pytester.runpytest_subprocess(*args).assert_outcomes(passed=3, failed=1)
    pytester.runpytest_subprocess(*args, "--lf").assert_outcomes(failed=1, deselected=3)
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(5,)]


@DISTRIBUTED
def test_x_stops_and_what_ran_is_recorded(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester, eval_kit.NAMES)
    result = run(pytester, n, "--model=fake:say@alpha", "-x", "--test-policy=never", path=None)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*did not run, the session was stopped*"])
    ran = stored(pytester, "SELECT count(*) FROM rollouts")[0][0]
    assert 1 <= ran < 8


def test_junitxml_has_an_entry_per_item(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "-n2", "--model=fake:say@beta", "--test-policy=never", "--junitxml=j.xml", path=None)
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "j.xml").iter("testcase")}
    assert sorted(filter(None, cases)) == [f"test_heldout[{n}-r0]" for n in ("alpha", "beta", "delta", "gamma")]
    failure = cases["test_heldout[beta-r0]"].find("failure")
    assert failure is not None
    assert "parse errors" in str(failure.get("message"))


def test_a_protocol_failure_shows_the_message_its_code_and_the_trace(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--model=fake:say@beta", "--max-iters=2", "--test-policy=never", "-k", "beta", path=None)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "tiny/beta by fake:say@beta, rollout 0: 2 parse errors (no_json 2), allowed 0; 1 loop*; no file*",
            "step 0 was no valid action, no_json: *",
            "    nonsense",
            "trace: *traces*beta-r0-*.jsonl",
        ]
    )


def test_ini_settings_change_what_an_item_tolerates(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    pytester.makeini(
        "[pytest]\nrepoagent_max_parse_errors = 2\nrepoagent_max_loop_detections = 1\nrepoagent_require_write = false\n"
    )
    args = ["--model=fake:say@beta", "--max-iters=2", "-k", "beta"]
    run(pytester, *args, path=None).assert_outcomes(passed=1)
    run(pytester, *args, "--require-pass", path=None).assert_outcomes(failed=1)


@DISTRIBUTED
@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("fake:refuse@beta", "provider_error: 503 six times"),
        ("fake:bug@beta", "*ZeroDivisionError: a bug in the model's code"),
    ],
)
def test_trouble_outside_the_model_is_an_error_and_is_recorded(
    pytester: pytest.Pytester, n: str, model: str, says: str
) -> None:
    make_project(pytester)
    result = run(pytester, n, f"--model={model}", "--test-policy=never")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines([says])
    assert stored(pytester, "SELECT counted, count(*) FROM rollouts GROUP BY ALL ORDER BY ALL") == [
        (False, 1),
        (True, 3),
    ]
    result.stdout.fnmatch_lines(["*4 (1 not counted)*"])


@DISTRIBUTED
def test_a_key_rejected_half_way_stops_the_session(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester, eval_kit.NAMES)
    result = run(pytester, n, "--model=fake:key@alpha", "--test-policy=never")
    assert result.ret not in (0, 1)
    result.stdout.fnmatch_lines(["*fake:key@alpha cannot be used: the key was rejected*"])
    assert stored(pytester, "SELECT count(*) FROM rollouts")[0][0] < 8


def test_a_killed_worker_fails_the_run_and_its_item_is_named(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "-n2", "--model=fake:kill@beta", "--test-policy=never")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["test_items.py::test_item?beta-r0? was reported, but its rollout is not in the store"])
    assert stored(pytester, "SELECT task_id FROM rollouts ORDER BY ALL") == [
        ("tiny/alpha",),
        ("tiny/delta",),
        ("tiny/gamma",),
    ]


def test_a_report_that_cannot_be_sent_fails_the_run_and_its_item_is_named(pytester: pytest.Pytester) -> None:
    """xdist may exit 0 after losing an item this way (pytest-xdist#1017)."""
    make_project(
        pytester,
        items="def test_item(rollout, record_property):\n"
        "    record_property('x', object() if rollout.task_id == 'tiny/beta' else 1)\n",
    )
    result = run(pytester, "-n2", "--model=oracle", "--test-policy=never")
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()  # after an internal error pytest gives no summary
    assert "test_items.py::test_item[beta-r0] was selected but never reported: lost" in text
    assert ("tiny/beta",) in stored(pytester, "SELECT task_id FROM rollouts")


def test_skipped_items_are_not_missed(pytester: pytest.Pytester) -> None:
    make_project(
        pytester,
        items="import pytest\n@pytest.mark.skip(reason='later')\ndef test_item(rollout):\n    pass\n",
    )
    result = run(pytester, "--model=oracle")
    result.assert_outcomes(skipped=4)
    assert result.ret == 0


@DISTRIBUTED
def test_tests_on_one_rollout_share_it(pytester: pytest.Pytester, n: str) -> None:
    make_project(
        pytester,
        items="def test_a(rollout): assert rollout.success\ndef test_b(rollout): assert rollout.steps < 9\n",
    )
    run(pytester, n, "--model=oracle").assert_outcomes(passed=8)
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(4,)]


def test_items_without_a_rollout_run_beside(pytester: pytest.Pytester) -> None:
    make_project(pytester, items=eval_kit.ITEMS + "\ndef test_plain(): pass\n")
    run(pytester, "-n2", "--model=oracle").assert_outcomes(passed=5)


def _start(pytester: pytest.Pytester, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *eval_kit.COMMON, *args, "test_items.py"]
    return subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def _wait_for_traces(pytester: pytest.Pytester, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        traces = list((pytester.path / ".repoagent/traces").glob("*/*.jsonl"))
        if sum(b'"run_end"' in trace.read_bytes() for trace in traces) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"fewer than {count} rollouts were finished in a minute")


@DISTRIBUTED
def test_ctrl_c_keeps_what_was_finished(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester, eval_kit.NAMES)
    session = _start(pytester, n, "--model=fake:slow@1.5", "--test-policy=never")
    _wait_for_traces(pytester, 2)
    os.killpg(session.pid, signal.SIGINT)
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 2
    assert b"did not run, the session was stopped" in out
    assert 2 <= stored(pytester, "SELECT count(*) FROM rollouts")[0][0] < 8


def test_a_killed_session_is_picked_up_by_the_next(pytester: pytest.Pytester) -> None:
    make_project(pytester, eval_kit.NAMES)
    session = _start(pytester, "--model=fake:slow@0.5", "--test-policy=never")
    _wait_for_traces(pytester, 2)
    os.killpg(session.pid, signal.SIGKILL)
    session.communicate(timeout=60)
    result = run(pytester, "--model=oracle", "-k", "alpha", "--test-policy=never")
    assert result.ret == 0
    assert stored(pytester, "SELECT count(*) FROM rollouts WHERE model = 'fake:slow@0.5'")[0][0] >= 2
    finished = [p for p in (pytester.path / ".repoagent/traces").glob("*/*.jsonl") if b'"run_end"' in p.read_bytes()]
    assert stored(pytester, "SELECT count(*) FROM rollouts") == [(len(finished),)]


def test_two_sessions_on_one_store_both_finish_and_both_are_recorded(pytester: pytest.Pytester) -> None:
    make_project(pytester, eval_kit.NAMES)
    sessions = [_start(pytester, "-n2", f"--model={m}", "--test-policy=never") for m in ("oracle", "fake:slow@0.1")]
    for session in sessions:
        out, _ = session.communicate(timeout=120)
        assert session.returncode == 0, out.decode()
    assert stored(
        pytester, "SELECT model, count(*), count(DISTINCT run_id) FROM rollouts GROUP BY ALL ORDER BY ALL"
    ) == [
        ("fake:slow@0.1", 8, 1),
        ("oracle", 8, 1),
    ]


def test_with_a_model_and_no_path_eval_is_collected(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    (pytester.path / "eval").mkdir()
    (pytester.path / "eval/test_mine.py").write_text("def test_mine(rollout): pass\n")
    result = run(pytester, "--model=oracle", "--collect-only", "-q", path=None)
    assert result.stdout.lines[0] == "eval/test_mine.py::test_mine[alpha-r0]"


def test_with_no_eval_folder_the_bundled_items_are_collected(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    result = run(pytester, "--model=oracle", "--collect-only", "-q", path=None)
    result.stdout.fnmatch_lines(["*test_heldout.py::test_heldout?alpha-r0?"])
    run(pytester, "--model=oracle", "--require-pass", path=None).assert_outcomes(passed=4)


@pytest.mark.parametrize("place", ["inside.duckdb", "../outside.duckdb"])
def test_the_store_may_lie_anywhere(pytester: pytest.Pytester, place: str) -> None:
    make_project(pytester)
    store = pytester.path / place
    run(pytester, "--model=oracle", f"--store={place}", "-k", "alpha").assert_outcomes(passed=1)
    assert query(store, "SELECT task_id FROM rollouts")[1] == [("tiny/alpha",)]


def test_a_store_that_is_none_is_a_usage_error_and_is_left_alone(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    (pytester.path / "notes.txt").write_text("my notes")
    result = run(pytester, "--model=oracle", "--store=notes.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *notes.txt*"])
    assert (pytester.path / "notes.txt").read_text() == "my notes"


def test_a_changed_file_is_a_usage_error_before_any_rollout(pytester: pytest.Pytester) -> None:
    root = make_project(pytester)
    (root / "python_programs/beta.py").write_text("def beta(n): return n + 1\n")
    result = run(pytester, "--model=oracle")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *beta.py has sha256 *"])
    assert not (pytester.path / ".repoagent").exists()


def test_a_run_that_selects_no_rollout_fails(pytester: pytest.Pytester) -> None:
    make_project(pytester, items="def test_plain(): pass\n")
    result = run(pytester, "--model=oracle")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no rollout was selected: *"])
    assert run(pytester, "--model=oracle", "-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_two_stores_in_one_folder_keep_their_runs_apart(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    for name, model in (("a.duckdb", "oracle"), ("b.duckdb", "repair")):
        run(pytester, f"--model={model}", f"--store={name}", "-k", "alpha", "--test-policy=never")
    assert query(pytester.path / "b.duckdb", "SELECT DISTINCT model FROM rollouts")[1] == [("repair",)]


def test_a_store_that_somebody_else_has_open_fails_the_run_and_loses_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(pytester)
    run(pytester, "--model=oracle", "-k", "alpha", "--test-policy=never").assert_outcomes(passed=1)
    make_project(pytester)
    session = _start(pytester, "--model=fake:slow@0.7", "--test-policy=never")
    _wait_for_traces(pytester, 2)
    with closing(duckdb.connect(pytester.path / ".repoagent/store.duckdb")):
        out, _ = session.communicate(timeout=150)
    assert session.returncode == 1, out.decode()
    assert out.count(b"is in use") == 1
    assert b"not recorded: " in out
    assert b"Traceback" not in out
    run(pytester, "--model=oracle", "-k", "alpha", "--test-policy=never")
    assert stored(pytester, "SELECT count(*) FROM rollouts WHERE model LIKE 'fake%'") == [(4,)]


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_by_default_a_models_code_runs_apart_from_its_tests(pytester: pytest.Pytester, mode: str) -> None:
    make_project(pytester)
    result = run(pytester, "-n2", "--model=repair", f"--sandbox={mode}")
    level = "none" if mode == "none" else layers.probe()[0].level
    result.stdout.fnmatch_lines([f"runner warm, sandbox {level}"])
    assert stored(pytester, "SELECT DISTINCT runner, judge, sandbox FROM run_sandbox") == [("warm", "split", level)]


BOXED = """
import os, time
from pathlib import Path
from pytest_repoagent.errors import UsageError
from pytest_repoagent.testrun.base import Verdict

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")

def note(what):
    with open(f"{WORKER}.log", "a") as log:
        print(what, file=log)

class Boxed:
    name = "boxed"

    def __init__(self, mode):
        note(f"made {mode}")
        self.sandbox = "none" if mode == "none" else os.environ.get(f"LEVEL_{WORKER}", "full")

    def check(self):
        note("check")
        if "NO_BOX" in os.environ:
            raise UsageError("there is no box")

    def run(self, job):
        note("run")
        while "LEVEL_gw1" in os.environ and sum("run" in log.read_text() for log in Path().glob("gw*.log")) < 2:
            time.sleep(0.05)
        judge = "split" if job.editable == ("python_programs/",) else "in_process"
        return Verdict(True, "passed", {"passed": 1}, (), "1 passed", 0.1, 0.1, self.name, judge, self.sandbox)

    def close(self):
        note("close")

def pytest_repoagent_runners():
    return {"boxed": Boxed}
"""

Boxed = Callable[..., pytest.RunResult]


@pytest.fixture
def boxed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Boxed:
    """A session with a runner that notes what is asked of it."""

    def session(*args: str) -> pytest.RunResult:
        make_project(pytester)
        pytester.makeconftest(eval_kit.CONFTEST + BOXED)
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        return run(pytester, "--model=fake:idle", "--runner=boxed", *args)

    return session


def _log(pytester: pytest.Pytester, process: str) -> list[str]:
    return (pytester.path / f"{process}.log").read_text().splitlines()


@DISTRIBUTED
@pytest.mark.parametrize("mode", ["auto", "strict", "none"])
def test_a_runner_of_a_hook_judges_and_its_sandbox_is_recorded(
    pytester: pytest.Pytester, boxed: Boxed, n: str, mode: str
) -> None:
    level = "none" if mode == "none" else "full"
    result = boxed(n, f"--sandbox={mode}")
    result.assert_outcomes(passed=4)
    assert stored(pytester, "SELECT DISTINCT runner, sandbox, run_facts->>'$.settings.sandbox' FROM rollouts") == [
        ("boxed", level, mode)
    ]
    assert stored(pytester, "SELECT runner, judge, sandbox, test_runs FROM run_sandbox") == [
        ("boxed", "split", level, 4)
    ]
    result.stdout.fnmatch_lines([f"repoagent: runner boxed, sandbox {level}", f"runner boxed, sandbox {level}"])
    assert ("sandbox none: code a model wrote runs with your rights" in result.stdout.lines) == (mode == "none")


def test_a_controller_that_runs_nothing_keeps_no_runner(pytester: pytest.Pytester, boxed: Boxed) -> None:
    boxed("-n2")
    assert _log(pytester, "main") == ["made auto", "check", "close"]
    for worker in ("gw0", "gw1"):
        log = _log(pytester, worker)
        assert [log[0], *set(log[1:-1]), log[-1]] == ["made auto", "run", "close"]


def test_the_only_process_keeps_its_runner_to_the_end(pytester: pytest.Pytester, boxed: Boxed) -> None:
    boxed("-n0")
    assert _log(pytester, "main") == ["made auto", "check", *["run"] * 4, "close"]


def test_processes_with_different_sandboxes_are_told_apart(boxed: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVEL_gw1", "landlock+seccomp")
    result = boxed("-n2")
    result.stdout.fnmatch_lines(
        [
            "runner boxed, sandbox *full (* of 4 test runs)*",
            "sandbox landlock+seccomp (no namespaces): `repoagent doctor` says how to get more",
        ]
    )


@pytest.mark.parametrize(
    ("env", "args", "message"),
    [
        ("NO_BOX", [], "ERROR: there is no box"),
        (
            "LEVEL_main",
            ["--sandbox=strict"],
            "ERROR: --sandbox=strict wants a full sandbox, but that of --runner=boxed *",
        ),
    ],
)
def test_a_runner_that_cannot_be_used_is_a_usage_error_before_any_rollout(
    pytester: pytest.Pytester, boxed: Boxed, monkeypatch: pytest.MonkeyPatch, env: str, args: list[str], message: str
) -> None:
    monkeypatch.setenv(env, "seccomp")
    result = boxed(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert not (pytester.path / ".repoagent").exists()
    assert _log(pytester, "main")[-1] == "close"


def test_an_expected_failure_does_not_hide_a_lost_rollout(pytester: pytest.Pytester) -> None:
    make_project(pytester, items="import pytest\n@pytest.mark.xfail\ndef test_item(rollout): assert 0\n")
    result = run(pytester, "-n2", "--model=fake:kill@beta", "--test-policy=never")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_item?beta-r0? was reported, but its rollout is not in the store"])


def test_a_key_that_the_tests_print_is_not_recorded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "sk-very-secret-0123456789")
    root = make_project(pytester, names=("alpha",))
    test = root / "python_testcases/test_alpha.py"
    before = test.read_text()
    leak = before + "\n\ndef test_leak():\n    key = 'sk-very-secret-' + '0123456789'\n    assert key == ''\n"
    test.write_text(leak)
    suite = pytester.path / "tiny.json"
    suite.write_text(suite.read_text().replace(eval_kit.sha256(before), eval_kit.sha256(leak)))
    run(pytester, "--model=repair", "--max-iters=3")
    (text,) = stored(pytester, "SELECT DISTINCT text FROM test_runs LIMIT 1")[0]
    assert "[TOGETHER_API_KEY]" in text
    for path in (pytester.path / ".repoagent").rglob("*.*"):
        assert b"sk-very-secret-0123456789" not in path.read_bytes()
