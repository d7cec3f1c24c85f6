"""The baseline: a real loop over real files and tests, and every turn the conversation may take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent.agent import Agent, AgentSettings
from pytest_repoagent.errors import ModelConfigError, SourceError
from pytest_repoagent.fold import fold
from pytest_repoagent.models import repair
from pytest_repoagent.models.base import Conversation, ModelContext, RolloutKey
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.testrun.base import Verdict
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.trace import Trace
from pytest_repoagent.workspace import Workspace

GOAL = "Fix the bug in lib/unique.py so that every test in tests/test_unique.py passes. Do not change the tests."
BUGGY = """\
def unique(items):
    seen = set()
    out = []
    for item in items:
        if item not in seen:
            out.append(item)  # the first of its kind
    return out


"Words after the code."
"""
HOPELESS = BUGGY.replace("return out", 'return "nothing that an edit could make right", out, seen')
TESTS = """\
from unique import unique

cases = [([], []), ([1], [1]), ([1, 1], [1]), ([2, 1, 2], [2, 1]), ([3, 3, 3], [3])]
failed = [case for case in cases if unique(case[0]) != case[1]]
print(len(failed), "failed,", len(cases) - len(failed), "passed")
"""


def context() -> ModelContext:
    def known_fix(task_id: str) -> Mapping[str, str]:
        raise SourceError("repair must never ask for a fix")

    def build(spec: str) -> Any:
        raise AssertionError("repair wraps no model")

    return ModelContext(
        temperature=0.0,
        max_tokens=1,
        base_url=None,
        request_timeout_s=1.0,
        retries=0,
        trace_root=Path(),
        known_fix=known_fix,
        build=build,
    )


def start(task_id: str = "tiny/unique", seed: int = 0) -> Conversation:
    model = repair.create("", context())
    model.check()
    return model.start(RolloutKey(task_id, "repair", seed, seed))


class Talk:
    """A conversation that the test answers by hand."""

    def __init__(self, goal: str = GOAL, task_id: str = "tiny/unique", seed: int = 0) -> None:
        self.conversation = start(task_id, seed)
        self.messages: list[Message] = render.opening(goal)

    def ask(self, answer: str | None = None) -> dict[str, Any]:
        """The next action, after ``answer`` to the one before."""
        if answer is not None:
            self.messages.append({"role": "user", "content": answer})
        text = self.conversation.reply(self.messages).text
        self.messages.append({"role": "assistant", "content": text})
        action: dict[str, Any] = json.loads(text)
        return action

    def tool(self, text: str, tests: str | None = None) -> dict[str, Any]:
        return self.ask(render.tool_reply(text, tests=tests)["content"])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Rollout]:
    def run(program: str = BUGGY, goal: str = GOAL, **changes: Any) -> Rollout:
        root = tmp_path / "pristine"
        files = {"lib/unique.py": program, "tests/test_unique.py": TESTS, "lib/other.py": "x = 1\n"}
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(text.encode())
        workspace = Workspace(root, files, ["lib/"])

        def run_tests() -> Verdict:
            (tmp_path / "unique.py").write_text(workspace.text("lib/unique.py") or "", encoding="utf-8")
            (tmp_path / "check.py").write_text(TESTS, encoding="utf-8")
            done = subprocess.run(
                [sys.executable, "-B", "check.py"], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            passed = done.stdout.startswith("0 failed")
            text = done.stdout or f"5 failed\nE   {done.stderr.splitlines()[-1]}"
            reason = "passed" if passed else "failed"
            return Verdict(passed, "passed" if passed else "failed", {reason: 1}, (), text, 0.0, 0.0, "plain")

        settings: dict[str, Any] = {
            "max_iters": 40,
            "max_loops": 3,
            "timeout_s": 600.0,
            "max_tokens_total": None,
            "test_policy": "on_write",
            "window": "full",
            "lenient": False,
            "reflection": True,
            "price_usd": None,
        }
        facts = {
            "rollout_id": "r",
            "run_id": "r",
            "task_id": "t",
            "model": "repair",
            "index": 0,
            "seed": 0,
            "attempt": 0,
        }
        with Trace(tmp_path / f"{len(list(tmp_path.glob('*.jsonl')))}.jsonl") as log:
            log.emit("run_start", schema=1, **facts, run={}, task={"metadata": {}, "expected_files": []})
            tools = {tool.spec.name: tool for tool in BUILT_IN}
            Agent(goal, start, workspace, tools, run_tests, AgentSettings(**{**settings, **changes}), log).run()
        return fold(log.events, "trace")

    return run


def writes(rollout: Rollout) -> list[str]:
    return [
        step.action["args"]["content"]
        for step in rollout.trajectory
        if step.action is not None and step.action.get("name") == "write_file"
    ]


@pytest.mark.parametrize("window", ["full", "last_k:1"])
@pytest.mark.parametrize("reflection", [True, False])
def test_a_bug_is_mended_in_a_real_loop(run: Callable[..., Rollout], window: str, reflection: bool) -> None:
    rollout = run(window=window, reflection=reflection)
    assert (rollout.outcome, rollout.success) == ("final", True)
    assert (rollout.parse_errors, rollout.loop_detections) == (0, 0)
    assert [step.flags for step in rollout.trajectory if step.flags] == []
    added = [line for line in writes(rollout)[-1].splitlines() if line not in BUGGY.splitlines()]
    assert [line.strip() for line in added] == ["seen.add(item)"]
    assert writes(rollout)[-1].replace(f"{added[0]}\n", "") == BUGGY
    assert rollout.tool_breakdown == {"read_file": 1, "write_file": len(writes(rollout))}
    assert "seen.add(item)" in rollout.final_summary


def test_no_content_is_written_twice_and_the_original_comes_back(run: Callable[..., Rollout]) -> None:
    rollout = run(program="def unique(items):\n    return []\n", max_iters=400)
    contents = writes(rollout)
    assert (rollout.outcome, rollout.success, rollout.loop_detections) == ("final", False, 0)
    assert len(set(contents)) == len(contents) > 5
    assert contents[-1] == "def unique(items):\n    return []\n"
    assert rollout.diff == ""
    assert rollout.final_summary.startswith(f"None of {len(contents) - 1} edits")


def test_max_iters_ends_a_search_that_is_not_over(run: Callable[..., Rollout]) -> None:
    rollout = run(program=HOPELESS, max_iters=6)
    assert (rollout.outcome, rollout.success, rollout.steps) == ("max_iters", False, 6)


def test_without_test_results_it_guesses_once_and_says_so(run: Callable[..., Rollout]) -> None:
    rollout = run(test_policy="never")
    assert (rollout.outcome, rollout.success) == ("final", None)
    assert len(writes(rollout)) == 1
    assert "guess" in rollout.final_summary


def test_the_program_is_found_by_looking_where_the_goal_names_none(run: Callable[..., Rollout]) -> None:
    rollout = run(goal="Make the tests of `unique` pass.")
    assert rollout.success
    assert [step.action["name"] for step in rollout.trajectory[:2] if step.action] == ["list_files", "read_file"]


def conversation(task_id: str, seed: int) -> list[dict[str, Any]]:
    talk = Talk(task_id=task_id, seed=seed)
    actions = [talk.ask(), talk.tool(BUGGY)]
    actions += [talk.tool("Wrote lib/unique.py (9 chars).", "[TESTS FAIL] 3 failed, 2 passed") for _ in range(12)]
    return actions


def test_nothing_depends_on_which_task_it_is() -> None:
    assert conversation("tiny/unique", 0) == conversation("quixbugs/gcd", 99)


@pytest.mark.parametrize(
    "goal",
    [
        "Read tests/test_unique.py to see what is wanted, then mend lib/unique.py until every test there passes.",
        "Running python_testcases/test_unique.py shows failures. The cause is in lib/unique.py; correct it.",
        "Bring lib/unique.py back to what lib/unique_test.py expects.",
    ],
)
def test_the_program_is_told_from_its_tests(goal: str) -> None:
    args = Talk(goal).ask()["args"]
    assert args["rel_path"] == "lib/unique.py"
    assert args["max_chars"] >= 20_000


def test_the_most_plausible_of_the_listed_programs_is_read() -> None:
    talk = Talk("Make tests/test_unique.py pass.")
    assert talk.ask()["name"] == "list_files"
    read = talk.tool("conftest.py\nlib/a.py\nlib/deep/unique.py\nnotes.md\ntests/helper.py\ntests/test_unique.py")
    assert read["args"]["rel_path"] == "lib/deep/unique.py"


def test_a_named_program_that_is_not_there_is_looked_for() -> None:
    talk = Talk("Fix unique.py.")
    assert talk.ask()["args"]["rel_path"] == "unique.py"
    assert talk.tool("[error] not_found: there is no file unique.py")["name"] == "list_files"
    assert talk.tool("src/other.py\nsrc/unique.py")["args"]["rel_path"] == "src/unique.py"
    assert talk.tool("[error] binary_file: src/unique.py is not text")["type"] == "final"


@pytest.mark.parametrize("listing", ["", "README.md\ntests/test_a.py", "[error] not_found: there is no directory ."])
def test_without_a_program_it_gives_up(listing: str) -> None:
    talk = Talk("Fix it.")
    talk.ask()
    final = talk.tool(listing)
    assert (final["type"], final["changes"]) == ("final", [])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(:\n    pass\n", "SyntaxError"),
        ("x = 1\n[truncated: the first 5 characters of 90000 bytes]", "longer"),
        ("", "None of 0 edits"),
    ],
)
def test_a_program_it_cannot_edit_is_left_alone(text: str, why: str) -> None:
    talk = Talk()
    talk.ask()
    final = talk.tool(text)
    assert final["type"] == "final"
    assert why in final["summary"]
    assert talk.ask("[tool_result]\nunexpected") == final


def test_a_refused_write_ends_it() -> None:
    talk = Talk()
    talk.ask()
    assert talk.tool(BUGGY)["name"] == "write_file"
    final = talk.tool("[error] protected_path: not here")
    assert final["type"] == "final"
    assert "protected_path" in final["summary"]


def test_after_a_parse_error_the_same_action_is_sent_again_at_any_turn() -> None:
    talk = Talk()
    error = "[parse_error] code_fence: the message is fenced\n[loop_warning] This repeats your action of step 1."
    read = talk.ask()
    assert talk.ask(error) == read == talk.ask(error)
    write = talk.tool(BUGGY)
    assert talk.ask(error) == write
    final = talk.tool("Wrote lib/unique.py (9 chars).", "[TESTS PASS] 5 passed")
    assert final["type"] == "final"
    assert final["changes"][0]["path"] == "lib/unique.py"
    assert talk.ask(error) == final


@pytest.mark.parametrize("ending", ["\n", ""])
def test_notes_behind_the_program_are_not_taken_for_code(ending: str) -> None:
    talk = Talk()
    talk.ask()
    program = BUGGY.rstrip("\n") + ending
    notes = [render.loop_warning("near_repeat", valid=True), render.REFLECTION]
    content = talk.ask(render.tool_reply(program, notes=notes)["content"])["args"]["content"]
    assert "[loop_warning]" not in content
    assert "[reflection]" not in content
    assert content.endswith(f'"Words after the code."{ending}')


def test_it_takes_no_name() -> None:
    with pytest.raises(ModelConfigError, match=r"repair:large.*--model=repair"):
        repair.create("large", context())
