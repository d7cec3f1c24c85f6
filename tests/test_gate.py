"""The gate in whole sessions: what it says, and the exit status."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_kit import NAMES, make_project, run, stored

from pytest_repoagent.cli import main

DISTRIBUTED = pytest.mark.parametrize("n", ["-n0", "-n2"])
BASELINE = "eval/baselines/base.json"
GATED = f"--baseline={BASELINE}"
ITEMS = """
def test_item(rollout):
    assert rollout.outcome
"""
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first project's run and baseline are kept for the next ones."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kept: Path) -> pytest.Pytester:
    """Eight tasks, items that pass whatever the model does, and a baseline of the oracle."""
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    make_project(pytester, NAMES, ITEMS)
    if not kept.exists():
        assert run(pytester, "--model=oracle").ret == 0
        assert main(["baseline", "save", "last", "base"]) == 0
        shutil.copytree(pytester.path, kept)
    shutil.copytree(kept, pytester.path, dirs_exist_ok=True)
    return pytester


@DISTRIBUTED
def test_the_same_model_again_keeps_the_default_rules(project: pytest.Pytester, n: str) -> None:
    result = run(project, n, "--model=oracle", GATED)
    result.stdout.fnmatch_lines(
        [
            "*= repoagent gate =*",
            "baseline base.json: oracle, 20*",
            "model*rule*baseline*now*limit*p*verdict",
            "oracle*strict_valid:-2%@p<0.01*100.0 %*100.0 %*>= 98.0 %*1*kept",
            "gate: 4 of 4 rules kept",
        ]
    )
    assert result.ret == 0


@DISTRIBUTED
def test_a_broken_rule_fails_a_run_whose_items_all_passed(project: pytest.Pytester, n: str) -> None:
    result = run(project, n, "--model=fake:quit", GATED, "--fail-on=pass_rate:-10%@p<0.05", "--fail-on=parse_errors:+0")
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        [
            "fake:quit*pass_rate:-10%@p<0.05*100.0 %*0.0 %*>= 90.0 %*0.00781*BROKEN",
            "fake:quit*parse_errors:+0*0*0*<= 0*-*kept",
            "gate: 1 of 2 rules broken",
        ]
    )
    assert result.ret == 1


@DISTRIBUTED
def test_absolute_rules_need_no_baseline(project: pytest.Pytester, n: str) -> None:
    rules = ("--fail-on=parse_errors<=3", "--fail-on=pass_rate>=90%")
    assert run(project, n, "--model=oracle", *rules).ret == 0
    result = run(project, n, "--model=fake:nonsense@alpha", *rules)
    result.stdout.fnmatch_lines(["*parse_errors<=3*-*4*<= 3*-*BROKEN", "gate: 2 of 2 rules broken"])
    assert result.ret == 1


def test_every_model_of_a_run_is_judged(project: pytest.Pytester) -> None:
    result = run(project, "--model=oracle", "--model=fake:quit", GATED, "--fail-on=pass_rate:-10%")
    result.stdout.fnmatch_lines(["oracle*kept", "fake:quit*BROKEN", "gate: 1 of 2 rules broken"])
    assert result.ret == 1


def test_a_rule_may_follow_its_option_after_a_space(project: pytest.Pytester) -> None:
    result = run(project, "--model=oracle", "--fail-on", "parse_errors<=3", "--baseline", BASELINE, path=None)
    result.stdout.fnmatch_lines(["gate: 1 of 1 rules kept"])
    assert result.ret == 0


def test_failing_items_fail_a_run_that_keeps_every_rule(project: pytest.Pytester) -> None:
    project.makepyfile(test_items="def test_item(rollout):\n    assert False\n")
    result = run(project, "--model=oracle", GATED)
    result.stdout.fnmatch_lines(["gate: 4 of 4 rules kept"])
    assert result.ret == 1


@DISTRIBUTED
@pytest.mark.parametrize("options", [["-k", "alpha or beta"], ["--model=fake:refuse@beta"]])
def test_part_of_a_run_is_never_judged(project: pytest.Pytester, n: str, options: list[str]) -> None:
    model = [] if options[0].startswith("--model") else ["--model=oracle"]
    result = run(project, n, *model, GATED, *options)
    result.stdout.fnmatch_lines(["*: not judged, only [27] of 8 rollouts completed and count, too few of tiny/*"])
    result.stdout.no_fnmatch_line("gate: *")
    assert result.ret == 4


def test_a_metric_without_values_is_refused(project: pytest.Pytester) -> None:
    result = run(project, "--model=oracle", "--fail-on=tokens<=100", "--fail-on=parse_errors<=3")
    result.stdout.fnmatch_lines(
        ["*parse_errors<=3*kept", "*tokens<=100 cannot be judged, tokens is not known of tiny/*"]
    )
    assert result.ret == 4


@DISTRIBUTED
@pytest.mark.parametrize(("share", "ret"), [("0", 0), ("0.02", 1), ("0.3", 1)])
def test_a_spoiled_model_breaks_the_rules_that_its_faults_touch(
    project: pytest.Pytester, n: str, share: str, ret: int
) -> None:
    rules = ("--fail-on=parse_errors:+0", "--fail-on=strict_valid:-10%@p<0.05", "--fail-on=pass_rate:-10%")
    result = run(project, n, f"--model=novice:oracle@{share}", "--rollouts=8", GATED, *rules)
    found = re.findall(r"^novice\S+ +(\w+)\S+ .* (kept|BROKEN)$", result.stdout.str(), re.MULTILINE)
    assert dict(found) == {
        "parse_errors": "kept" if share == "0" else "BROKEN",
        "strict_valid": "BROKEN" if share == "0.3" else "kept",
        "pass_rate": "kept",
    }
    assert result.ret == ret


def test_the_same_model_with_other_seeds_keeps_the_default_rules(project: pytest.Pytester) -> None:
    model = ("--model=novice:oracle@0.3", "--rollouts=4")
    assert run(project, *model).ret == 0
    assert main(["baseline", "save", "last", "novice"]) == 0
    result = run(project, *model, "--seed=50", "--baseline=eval/baselines/novice.json")
    result.stdout.fnmatch_lines(["*strict_valid:-2%@p<0.01*kept", "gate: 4 of 4 rules kept"])
    assert result.ret == 0


def test_a_default_rule_that_nothing_could_break_is_left_out_and_said(project: pytest.Pytester) -> None:
    assert run(project, "--model=fake:quit").ret == 0
    assert main(["baseline", "save", "last", "quit"]) == 0
    result = run(project, "--model=fake:quit", "--baseline=eval/baselines/quit.json")
    result.stdout.fnmatch_lines(["a default rule is left out: --fail-on=pass_rate:-10%@p<0.01 could never be broken*"])
    assert result.ret == 0


def test_a_baseline_of_part_of_a_suite_is_refused(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    (project.path / "eval/suites").mkdir()
    (project.path / "tiny.json").rename(project.path / "eval/suites/tiny.json")
    assert run(project, "--model=oracle", "-k", "alpha or beta", "--suite=tiny").ret == 0
    assert main(["baseline", "save", "last", "part"]) == 4
    assert "has no rollout of tiny/" in capsys.readouterr().err


def _other_suite(file: dict[str, Any]) -> None:
    file["identity"]["suite_sha256"] = "0" * 64


def _other_settings(file: dict[str, Any]) -> None:
    file["identity"]["settings_hash"] = "0" * 16
    file["identity"]["settings"]["max_iters"] = 40


def _other_prompt(file: dict[str, Any]) -> None:
    file["identity"]["settings_hash"] = "0" * 16


def _part_of_the_suite(file: dict[str, Any]) -> None:
    del file["tasks"]["tiny/beta"]


def _unknown_field(file: dict[str, Any]) -> None:
    file["identity"]["note"] = "x"


def _share_above_one(file: dict[str, Any]) -> None:
    file["tasks"]["tiny/beta"]["pass_rate"] = [2]


def _control_characters(file: dict[str, Any]) -> None:
    file["identity"]["model"] = "x\x1b[31m\n::error::x"


def _text(file: dict[str, Any]) -> None:
    file["tasks"]["tiny/beta"]["steps"] = ["3"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_other_suite, "suite: tiny 000000000000, not tiny"),
        (_other_settings, "max_iters: 40, not 20"),
        (_other_prompt, "system prompt or tools: settings_hash 0000"),
        (_part_of_the_suite, "which differs from it in tiny/beta"),
        (_unknown_field, "identity.note is not a field there is"),
        (_share_above_one, "has a share above 1 for pass_rate of tiny/beta"),
        (_control_characters, "has characters that cannot be printed"),
        (_text, 'tasks["tiny/beta"].steps'),
    ],
)
def test_a_baseline_that_does_not_fit_is_a_usage_error_before_any_rollout(
    project: pytest.Pytester, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    path = project.path / BASELINE
    file = json.loads(path.read_text())
    change(file)
    path.write_text(json.dumps(file))
    result = run(project, "--model=oracle", GATED)
    assert result.ret == 4
    assert says in result.stderr.str()
    assert stored(project, "SELECT count(*) FROM rollouts") == [(8,)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model=oracle", "--baseline=missing.json"], "missing.json: cannot be read"),
        (["--model=oracle", "--fail-on=parse_errors:+0"], "give --baseline=FILE as well"),
        (["--model=oracle", GATED, "--fail-on=speed:+0"], "there is no metric speed"),
        (["--model=oracle", GATED, "--fail-on=pass_rate:-1%@p<0.001"], "could never be broken: only 8 of 8 tasks"),
        (["--model=oracle", GATED, "--fail-on=tokens:+10%"], "tokens is not known of tiny/alpha in the baseline"),
        (["--compare-to=last"], "give --model=PROVIDER:NAME as well"),
        (["--model=oracle", GATED, "--max-iters=9"], "max_iters: 20, not 9"),
        ([GATED], "give --model=PROVIDER:NAME as well"),
        (["--fail-on=parse_errors<=3"], "give --model=PROVIDER:NAME as well"),
    ],
)
def test_a_gate_that_cannot_judge_is_a_usage_error_before_any_rollout(
    project: pytest.Pytester, options: list[str], says: str
) -> None:
    result = run(project, *options)
    assert result.ret == 4
    assert says in result.stderr.str()
    assert stored(project, "SELECT count(*) FROM rollouts") == [(8,)]


def test_ctrl_c_is_not_a_pass(project: pytest.Pytester) -> None:
    project.makepyfile(test_items="def test_item(rollout):\n    raise KeyboardInterrupt\n")
    result = run(project, "--model=oracle", GATED)
    result.stdout.fnmatch_lines(["the session was stopped, so no rule was judged"])
    assert result.ret == 2


def test_the_workflow_gates_the_bundled_suite(tmp_path: Path) -> None:
    """The very command of the workflow, with its baseline, passes."""
    (command,) = re.findall(r"\.venv/bin/(pytest .*--baseline=.*)$", _workflow(), re.MULTILINE)
    words = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).parent / words[0], *words[1:]],
        cwd=ROOT,
        env={**os.environ, "REPOAGENT_STORE": str(tmp_path / "store.duckdb")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _workflow() -> str:
    return (ROOT / ".github/workflows/ci.yml").read_text().replace("\\\n", " ")
