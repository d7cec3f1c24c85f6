"""The agent loop: messages -> model -> action -> tool -> message, until an outcome.

It knows no pytest and no store. Whatever happens, the trace ends with ``run_end``; only KeyboardInterrupt and the
like leave it open, and an open trace is a rollout that was not finished.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pytest_repoagent.budget import cost_usd
from pytest_repoagent.conduct import Conduct, loops
from pytest_repoagent.errors import Cause, OutOfReplies, policy_for
from pytest_repoagent.models.base import Conversation, Reply, Usage
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Action, Final, Message, Parsed, ToolCall
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.rollout import Outcome
from pytest_repoagent.secrets import redact
from pytest_repoagent.testrun.base import Verdict
from pytest_repoagent.tools import Tool
from pytest_repoagent.trace import Events
from pytest_repoagent.waiting import Stopwatch
from pytest_repoagent.workspace import Refused, Workspace


@dataclass(frozen=True)
class AgentSettings:
    """What bounds and shapes one rollout.

    Attributes:
        max_iters: model replies.
        max_loops: loop detections that end the rollout.
        timeout_s: seconds on the agent's watch, checked between steps.
        max_tokens_total: tokens of all calls together, checked before each call; None for no bound.
        test_policy: ``never``, ``on_write`` (after every write, and at the end) or ``final`` (at the end).
        window: ``full`` or ``last_k:N``.
        lenient: execute unambiguous repairs of invalid replies; they still count as parse errors.
        reflection: ask for reflection after a failed test run.
        price_usd: USD per million prompt and completion tokens; None where unknown.
    """

    max_iters: int
    max_loops: int
    timeout_s: float
    max_tokens_total: int | None
    test_policy: str
    window: str
    lenient: bool
    reflection: bool
    price_usd: tuple[float, float] | None


_SPOILED: Mapping[Cause, Outcome] = {
    Cause.PROVIDER: "provider_error",
    Cause.USER: "provider_error",
    Cause.BUDGET: "budget",
}


class Agent:
    """One rollout in progress."""

    def __init__(
        self,
        goal: str,
        start: Callable[[], Conversation],
        workspace: Workspace,
        tools: Mapping[str, Tool],
        run_tests: Callable[[], Verdict],
        settings: AgentSettings,
        trace: Events,
        watch: Stopwatch | None = None,
    ) -> None:
        """Begin; ``watch`` is what the rollout's time is taken with, by default all of it."""
        self.start = start
        self.workspace = workspace
        self.tools = tools
        self.run_tests = run_tests
        self.settings = settings
        self.trace = trace
        self.specs = [tool.spec for tool in tools.values()]
        self.messages: list[Message] = render.opening(goal, self.specs, settings.test_policy)
        self.conduct = Conduct()
        self.watch = watch or Stopwatch()
        self.started = time.monotonic()
        self.step_index = 0
        self.sent = 0
        self.tokens = {"prompt": 0, "completion": 0}
        self.counted_tokens = False
        self.loop_detections = 0
        self.reflections = 0
        self.verdict: tuple[Mapping[str, str], Verdict] | None = None

    def run(self) -> None:
        """Run to an outcome and write ``run_end``."""
        outcome: Outcome | None = None
        error: BaseException | None = None
        try:
            conversation = self.start()
            while outcome is None:
                try:
                    outcome = self._over() or self._step(conversation)
                except OutOfReplies:
                    outcome = "max_iters"
            if self.settings.test_policy != "never":
                self._test(step=None)
        except Exception as caught:
            error = caught
            outcome = _SPOILED.get(policy_for(caught).cause, "infrastructure_error")
        self._end(outcome, error)

    def _over(self) -> Outcome | None:
        """The bound that stops the next step, if one does."""
        limit = self.settings.max_tokens_total
        if self.loop_detections >= self.settings.max_loops:
            return "loop"
        if self.step_index >= self.settings.max_iters:
            return "max_iters"
        if self.watch.seconds >= self.settings.timeout_s:
            return "timeout"
        if limit is not None and sum(self.tokens.values()) >= limit:
            return "budget"
        return None

    def _step(self, conversation: Conversation) -> Outcome | None:
        reply, latency_s = self._ask(conversation)
        parsed = parse(reply.text, tools=self.specs, finish_reason=reply.finish_reason)
        action = parsed.action or (parsed.repaired if self.settings.lenient else None)
        step = self.step_index
        flags = self.conduct.flags(action, self.workspace) if action else self.conduct.invalid(reply.text)
        self._record_action(reply, latency_s, parsed, action, flags)
        self.messages.append({"role": "assistant", "content": reply.text})
        self.step_index += 1
        notes = self._loop_notes(flags, valid=action is not None)
        if isinstance(action, Final):
            self.trace.emit("final", step=step, summary=action.summary, changes=list(action.changes))
            return "final"
        if action is None:
            assert parsed.error is not None
            self.messages.append(render.parse_error_reply(parsed.error, notes))
        else:
            self.messages.append(self._call(step, action, flags, notes))
        return None

    def _ask(self, conversation: Conversation) -> tuple[Reply, float]:
        prompt = render.apply_window(self.messages, self.settings.window)
        self.trace.emit(
            "llm_request",
            step=self.step_index,
            new_messages=[m for m in self.messages[self.sent :] if m["role"] != "assistant"],
            window=self.settings.window,
            prompt_sha256=render.prompt_sha256(prompt),
        )
        self.sent = len(self.messages)
        asked = time.monotonic()
        reply = conversation.reply(prompt)
        latency_s = time.monotonic() - asked - reply.waited_s
        self.watch.forget(reply.waited_s)
        if reply.usage is not None:
            self.counted_tokens = True
            self.tokens["prompt"] += reply.usage.prompt_tokens
            self.tokens["completion"] += reply.usage.completion_tokens
        return reply, latency_s

    def _record_action(
        self, reply: Reply, latency_s: float, parsed: Parsed, action: Action | None, flags: tuple[str, ...]
    ) -> None:
        self.trace.emit(
            "llm_action",
            step=self.step_index,
            raw=reply.text,
            finish_reason=reply.finish_reason,
            action=action.to_json() if action else None,
            error_code=parsed.error.code if parsed.error else None,
            error_message=parsed.error.message if parsed.error else None,
            strict_valid=parsed.action is not None,
            lenient_valid=parsed.action is not None or parsed.repaired is not None,
            repair=parsed.repair,
            flags=list(flags),
            prompt_tokens=reply.usage.prompt_tokens if reply.usage else None,
            completion_tokens=reply.usage.completion_tokens if reply.usage else None,
            latency_s=round(latency_s, 6),
            extra={**reply.extra, **({"waited_s": round(reply.waited_s, 6)} if reply.waited_s else {})},
        )

    def _loop_notes(self, flags: tuple[str, ...], valid: bool) -> list[str]:
        if not loops(flags):
            return []
        self.loop_detections += 1
        return [render.loop_warning(flags[0], valid)]

    def _call(self, step: int, call: ToolCall, flags: tuple[str, ...], notes: list[str]) -> Message:
        """Execute a call, test after a write where the policy says so, and make the reply."""
        tool = self.tools[call.name]
        args = {name: call.args[name] for name in tool.spec.args}
        began = time.monotonic()
        code = None
        try:
            text = tool.run(self.workspace, args)
            self.conduct.executed(call, flags)
        except Refused as refused:
            code = refused.code
            text = render.refusal(refused.code, str(refused))
        self.trace.emit(
            "tool_result",
            step=step,
            ok=code is None,
            code=code,
            content=text,
            duration_s=round(time.monotonic() - began, 6),
        )
        tests = None
        if code is None and call.name == "write_file" and self.settings.test_policy == "on_write":
            verdict = self._test(step)
            tests = render.test_report(verdict.passed, verdict.text)
            if not verdict.passed and self.settings.reflection:
                self.reflections += 1
                notes = [*notes, render.REFLECTION]
        return render.tool_reply(text, tests=tests, notes=notes)

    def _test(self, step: int | None) -> Verdict:
        """Test the workspace as it is; at the end, only if that was not just done."""
        state = dict(self.workspace.written)
        if step is None and self.verdict is not None and self.verdict[0] == state:
            return self.verdict[1]
        verdict = self.run_tests()
        verdict = replace(verdict, text=redact(verdict.text))
        self.verdict = (state, verdict)
        self.trace.emit(
            "test_run",
            step=step,
            passed=verdict.passed,
            reason=verdict.reason,
            counts=dict(verdict.counts),
            text=verdict.text,
            duration_s=round(verdict.duration_s, 6),
            cpu_s=round(verdict.cpu_s, 6),
            runner=verdict.runner,
            judge=verdict.judge,
            sandbox=verdict.sandbox,
        )
        return verdict

    def _end(self, outcome: Outcome, error: BaseException | None) -> None:
        self.trace.emit(
            "run_end",
            outcome=outcome,
            success=self.verdict[1].passed if self.verdict else None,
            error=_describe(error, outcome) if error else None,
            cause=policy_for(error).cause.value if error else None,
            duration_s=round(time.monotonic() - self.started, 6),
            diff=self.workspace.diff(),
            files_touched=list(self.workspace.touched()),
            loop_detections=self.loop_detections,
            reflection_count=self.reflections,
            cost_usd=self._cost_usd(),
        )

    def _cost_usd(self) -> float | None:
        total = Usage(self.tokens["prompt"], self.tokens["completion"])
        return cost_usd(total if self.counted_tokens else None, self.settings.price_usd)


def _describe(error: BaseException, outcome: Outcome) -> str:
    """The whole traceback where this machine or this project failed, else one sentence."""
    return str(error) if outcome != "infrastructure_error" else "".join(traceback.format_exception(error))
