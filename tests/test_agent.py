"""The loop, outcome by outcome, over scripted models and a test driver that looks at the workspace."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent import trace
from pytest_repoagent.agent import Agent, AgentSettings
from pytest_repoagent.errors import InfrastructureError, ModelConfigError, OutOfReplies, ProviderError
from pytest_repoagent.fold import UnfinishedTrace, fold
from pytest_repoagent.models.base import Reply, Usage
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.testrun.base import Verdict
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.workspace import Workspace

SETTINGS = AgentSettings(
    max_iters=20,
    max_loops=3,
    timeout_s=60.0,
    max_tokens_total=None,
    test_policy="on_write",
    window="full",
    lenient=False,
    reflection=True,
    price_usd=None,
)
FIXED = "def area(w, h):\n    return w * h\n"


def call(name: str, **args: Any) -> str:
    return json.dumps({"type": "tool_call", "name": name, "args": args})


LIST = call("list_files", rel_dir=".", max_files=50)
READ = call("read_file", rel_path="src/area.py", max_chars=500)
WRITE = call("write_file", rel_path="src/area.py", content=FIXED)
BREAK = call("write_file", rel_path="src/area.py", content="def area(w, h):\n    return w - h\n")
FINAL = json.dumps({"type": "final", "summary": "multiplied", "changes": []})


class Scripted:
    """Gives its replies in order; an exception among them is raised."""

    def __init__(self, *replies: str | BaseException | Reply) -> None:
        self.replies = list(replies)
        self.asked: list[list[Message]] = []

    def reply(self, messages: Sequence[Message]) -> Reply:
        self.asked.append(list(messages))
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply if isinstance(reply, Reply) else Reply(reply, "stop")


def verdict(passed: bool) -> Verdict:
    text = "1 passed" if passed else "1 failed\ntest_area: assert 5 == 6"
    return Verdict(
        passed=passed,
        reason="passed" if passed else "failed",
        counts={"passed" if passed else "failed": 1},
        tests=(),
        text=text,
        duration_s=0.1,
        cpu_s=0.1,
        runner="looks",
        judge="split",
        sandbox="namespaces",
    )


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path) -> Callable[..., tuple[Rollout, Scripted]]:
    def run(*replies: str | BaseException | Reply, **changes: Any) -> tuple[Rollout, Scripted]:
        model = Scripted(*replies)
        run_tests = changes.pop("run_tests", lambda: verdict(workspace.text("src/area.py") == FIXED))
        with trace.Trace(tmp_path / "trace.jsonl") as log:
            log.emit(
                "run_start",
                schema=1,
                rollout_id="x",
                run_id="run",
                task_id="t/area",
                model="scripted",
                index=0,
                seed=0,
                attempt=0,
                run={},
                task={},
            )
            Agent(
                goal="Fix src/area.py.",
                start=lambda: model,
                workspace=workspace,
                tools={tool.spec.name: tool for tool in BUILT_IN},
                run_tests=run_tests,
                settings=replace(SETTINGS, **changes),
                trace=log,
            ).run()
        recorded = fold(trace.read(log.path), str(log.path))
        assert recorded == fold(log.events, str(log.path))
        return recorded, model

    return run


Run = Callable[..., tuple[Rollout, Scripted]]


def test_a_fix_ends_in_final_and_passes(run: Run) -> None:
    rollout, model = run(LIST, READ, WRITE, FINAL)
    assert (rollout.outcome, rollout.success, rollout.steps, rollout.test_runs) == ("final", True, 4, 1)
    assert rollout.tool_breakdown == {"list_files": 1, "read_file": 1, "write_file": 1}
    assert rollout.files_touched == ("src/area.py",)
    assert rollout.final_summary == "multiplied"
    assert "-    return w + h\n+    return w * h\n" in rollout.diff
    assert model.asked[3][-1]["content"] == "[tool_result]\nWrote src/area.py (33 chars).\n[TESTS PASS] 1 passed"
    assert [m["role"] for m in model.asked[3]] == ["system", "user"] + ["assistant", "user"] * 3


def test_max_iters(run: Run) -> None:
    rollout, _ = run(LIST, READ, max_iters=2)
    assert (rollout.outcome, rollout.steps, rollout.success) == ("max_iters", 2, False)


def test_loop_is_warned_of_then_ends_the_rollout(run: Run) -> None:
    rollout, model = run(LIST, LIST, LIST, max_loops=2)
    assert (rollout.outcome, rollout.loop_detections) == ("loop", 2)
    assert "[loop_warning] You did exactly this before" in model.asked[2][-1]["content"]
    assert [s.flags for s in rollout.trajectory] == [(), ("exact_repeat",), ("exact_repeat",)]


def test_timeout(run: Run) -> None:
    def slow() -> Verdict:
        time.sleep(0.3)
        return verdict(False)

    rollout, _ = run(READ, BREAK, timeout_s=0.2, run_tests=slow)
    assert (rollout.outcome, rollout.steps, rollout.success) == ("timeout", 2, False)


def test_waiting_for_the_providers_limits_is_not_the_rollouts_time(run: Run) -> None:
    def slow() -> Verdict:
        time.sleep(0.3)
        return verdict(False)

    held_back = Reply(BREAK, "stop", waited_s=100.0)
    rollout, _ = run(held_back, FINAL, timeout_s=0.2, run_tests=slow)
    assert (rollout.outcome, rollout.trajectory[0].extra) == ("final", {"waited_s": 100.0})
    assert "waited_s" not in rollout.trajectory[1].extra


def test_budget(run: Run) -> None:
    spent = Reply(LIST, "stop", Usage(prompt_tokens=900, completion_tokens=200))
    rollout, _ = run(spent, max_tokens_total=1000, price_usd=(0.5, 2.0))
    assert (rollout.outcome, rollout.steps) == ("budget", 1)
    assert (rollout.prompt_tokens, rollout.completion_tokens) == (900, 200)
    assert rollout.cost_usd == pytest.approx((900 * 0.5 + 200 * 2.0) / 1e6)


def test_provider_error_keeps_the_steps_and_is_not_counted(run: Run) -> None:
    rollout, _ = run(LIST, ProviderError("the server answered 503 six times"))
    assert (rollout.outcome, rollout.cause, rollout.steps) == ("provider_error", "provider", 1)
    assert rollout.error == "the server answered 503 six times"
    assert not rollout.counted


def test_a_rejected_key_is_the_users_affair(run: Run) -> None:
    rollout, _ = run(ModelConfigError("the key was rejected"))
    assert (rollout.outcome, rollout.cause) == ("provider_error", "user")


def test_infrastructure_error_keeps_the_traceback(run: Run) -> None:
    def broken() -> Verdict:
        raise InfrastructureError("no space left")

    rollout, _ = run(READ, WRITE, run_tests=broken)
    assert (rollout.outcome, rollout.cause, rollout.counted) == ("infrastructure_error", "infrastructure", False)
    assert rollout.error is not None
    assert rollout.error.startswith("Traceback")
    assert "no space left" in rollout.error


def test_an_interrupt_leaves_the_trace_unfinished(run: Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(LIST, KeyboardInterrupt())
    with pytest.raises(UnfinishedTrace):
        fold(trace.read(tmp_path / "trace.jsonl"), "x")
    with pytest.raises(UnfinishedTrace):  # killed before its first event
        fold([], "x")


def test_an_invalid_reply_is_answered_with_its_code_and_executed_only_where_parsing_is_lenient(run: Run) -> None:
    rollout, model = run(f"```json\n{READ}\n```", FINAL)
    first = rollout.trajectory[0]
    assert (first.error_code, first.strict_valid, first.lenient_valid) == ("code_fence", False, True)
    assert (first.action, first.executed_ok) == (None, None)
    assert model.asked[1][-1]["content"].startswith("[parse_error] code_fence: ")
    assert rollout.parse_errors_by_code == {"code_fence": 1}


def test_lenient_parsing_executes_and_still_counts(run: Run) -> None:
    rollout, model = run(f"```json\n{READ}\n```", FINAL, lenient=True)
    first = rollout.trajectory[0]
    assert (first.error_code, first.strict_valid, first.executed_ok) == ("code_fence", False, True)
    assert model.asked[1][-1]["content"].startswith("[tool_result]\ndef area")
    assert model.asked[1][-2]["content"].startswith("```json")
    assert rollout.parse_errors == 1


def test_a_refused_call_is_valid_and_not_executed_ok(run: Run) -> None:
    rollout, model = run(call("read_file", rel_path="nope.py", max_chars=10), FINAL)
    first = rollout.trajectory[0]
    assert (first.strict_valid, first.executed_ok, first.tool_code) == (True, False, "not_found")
    assert model.asked[1][-1]["content"] == "[tool_result]\n[error] not_found: there is no file nope.py"


def test_a_thought_reaches_no_tool(run: Run) -> None:
    rollout, _ = run(call("list_files", rel_dir=".", max_files=5, thought="look around"), FINAL)
    assert rollout.trajectory[0].executed_ok


@pytest.mark.parametrize(
    ("policy", "replies", "steps_tested", "success"),
    [
        ("never", [READ, WRITE, FINAL], [], None),
        ("final", [READ, WRITE, FINAL], [None], True),
        ("on_write", [READ, WRITE, FINAL], [1], True),
        ("on_write", [READ, FINAL], [None], False),
        ("on_write", [READ, WRITE, BREAK, FINAL], [1, 2], False),
    ],
)
def test_test_policy(
    run: Run, policy: str, replies: list[str], steps_tested: list[int | None], success: bool | None
) -> None:
    rollout, _ = run(*replies, test_policy=policy)
    assert [t.step for t in rollout.tests] == steps_tested
    assert {(t.runner, t.judge, t.sandbox) for t in rollout.tests} <= {("looks", "split", "namespaces")}
    assert rollout.success is success


@pytest.mark.parametrize("reflection", [True, False])
def test_reflection_is_asked_for_after_failing_tests_only(run: Run, reflection: bool) -> None:
    rollout, model = run(READ, BREAK, WRITE, FINAL, reflection=reflection)
    assert rollout.reflection_count == int(reflection)
    assert ("[reflection]" in model.asked[2][-1]["content"]) is reflection
    assert "[reflection]" not in model.asked[3][-1]["content"]


def test_every_state_can_be_put_together_from_the_record(run: Run) -> None:
    rollout, model = run(LIST, "nonsense", READ, WRITE, FINAL, window="last_k:1")
    deltas = [step.new_messages for step in rollout.trajectory]
    replies = [step.raw for step in rollout.trajectory]
    for step in rollout.trajectory:
        state = render.state(deltas, replies, step.index, step.window)
        assert state == model.asked[step.index]
        assert render.prompt_sha256(state) == step.prompt_sha256


def test_a_trace_grows_linearly(run: Run) -> None:
    reads = [call("read_file", rel_path="src/area.py", max_chars=n) for n in range(100, 140)]
    rollout, _ = run(*reads, FINAL, max_iters=60)
    sizes = [len(json.dumps(step.new_messages)) for step in rollout.trajectory[1:]]
    assert max(sizes) < 2 * min(sizes)


def test_what_the_model_says_of_tests_is_not_believed(run: Run) -> None:
    claim = json.dumps({"type": "final", "summary": "all pass", "changes": [], "test_result": {"ok": True}})
    rollout, _ = run(READ, BREAK, claim)
    assert rollout.success is False


def test_half_a_surrogate_pair_is_recorded_and_the_rollout_goes_on(run: Run) -> None:
    escaped = call("write_file", rel_path="src/area.py", content="\ud800")
    rollout, _ = run(READ, escaped, "\ud800", FINAL)
    assert rollout.parse_errors_by_code == {"bad_escape": 1, "no_json": 1}
    assert rollout.trajectory[2].raw == "\ud800"
    assert rollout.outcome == "final"


def test_a_recording_that_runs_out_ends_as_used_up_and_is_judged(run: Run) -> None:
    rollout, _ = run(READ, WRITE, OutOfReplies("two replies"))
    assert (rollout.outcome, rollout.counted, rollout.success) == ("max_iters", True, True)


def test_the_prompt_promises_test_results_only_where_they_come(run: Run) -> None:
    _, shown = run(FINAL)
    assert "After each write the driver runs them" in shown.asked[0][0]["content"]
