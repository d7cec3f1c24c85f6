"""The offline models in real sessions: what they are for must show in what is recorded."""

from __future__ import annotations

import os

import pytest
from eval_kit import make_project, run, stored

QUIXBUGS = pytest.mark.skipif("QUIXBUGS_ROOT" not in os.environ, reason="needs QUIXBUGS_ROOT, a copy of QuixBugs")


@pytest.mark.parametrize("n", ["-n0", "-n2"])
def test_novice_shows_exactly_the_parse_errors_it_injected(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester)
    run(
        pytester,
        n,
        "--model=novice:repair@0.6",
        "--rollouts=4",
        "--max-iters=40",
        "--max-loops=40",
        "--test-policy=never",
    )
    steps = stored(pytester, "SELECT extra->>'injected', error_family FROM steps")
    injected = [code for code, _ in steps if code is not None]
    assert [code for _, code in steps if code is not None] == injected
    assert all(was == measured for was, measured in steps)
    assert len(set(injected)) >= 10
    totals = stored(pytester, "SELECT sum(parse_errors), sum(steps) FROM rollouts")
    assert totals == [(len(injected), len(steps))]


def test_the_same_seed_makes_the_same_run(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    for n in ("-n0", "-n2"):
        run(pytester, n, "--model=novice:repair", "--rollouts=2", "--seed=7", "--test-policy=never")
    distinct = stored(
        pytester,
        "SELECT task_id, rollout, step, count(*), count(DISTINCT raw), count(DISTINCT prompt_sha256) "
        "FROM steps JOIN rollouts USING (rollout_id) GROUP BY ALL",
    )
    assert {(count, raws, prompts) for *_, count, raws, prompts in distinct} == {(2, 1, 1)}


def test_repair_never_loops_and_passes_where_an_edit_does(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    run(pytester, "-n2", "--model=repair", "--max-iters=40", "--require-pass", path=None).assert_outcomes(passed=4)
    assert stored(pytester, "SELECT sum(loop_detections), sum(parse_errors), bool_and(success) FROM rollouts") == [
        (0, 0, True)
    ]


def test_oracle_without_a_known_fix_is_the_users_affair(pytester: pytest.Pytester) -> None:
    make_project(pytester)
    suite = pytester.path / "tiny.json"
    text = suite.read_text()
    start = text.index('"fix": {', text.index("tiny/beta"))
    suite.write_text(text[:start] + '"fix": {}' + text[text.index("}", start) + 1 :])
    result = run(pytester, "--model=oracle", "-k", "beta")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*tiny/beta has no known fix*"])


@QUIXBUGS
def test_oracle_passes_all_of_quixbugs(pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess("-n2", "--model=oracle", "--require-pass").assert_outcomes(passed=13)
    args = ("-n2", "--model=oracle", "--suite=quixbugs_master", "--require-pass")
    pytester.runpytest_subprocess(*args).assert_outcomes(passed=40)


@QUIXBUGS
def test_a_model_that_changes_nothing_passes_none_of_quixbugs(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from pytest_repoagent.models.base import Reply\n"
        "class Idle:\n"
        "    def check(self): pass\n"
        "    def start(self, key): return self\n"
        '    def reply(self, messages): return Reply(\'{"type":"final","summary":"","changes":[]}\')\n'
        "def pytest_repoagent_models(): return {'idle': lambda name, context: Idle()}\n"
    )
    args = ("-n2", "--model=idle", "--suite=quixbugs_master", "--test-timeout=5", "--require-pass")
    pytester.runpytest_subprocess(*args).assert_outcomes(failed=40)
    assert stored(pytester, "SELECT count(*), count(*) FILTER (success) FROM rollouts") == [(40, 0)]


@QUIXBUGS
def test_repair_passes_a_real_share_of_the_held_out_tasks(pytester: pytest.Pytester) -> None:
    args = ("-n2", "--model=repair", "--max-iters=40", "--test-timeout=5")
    pytester.runpytest_subprocess(*args).assert_outcomes(passed=13)
    ((share,),) = stored(pytester, "SELECT avg(success::INT) FROM rollouts")
    assert share >= 0.3
