"""What a rollout was: its record, and what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_repoagent.protocol.actions import Message

Outcome = Literal["final", "max_iters", "loop", "timeout", "budget", "provider_error", "infrastructure_error"]
NOT_COUNTED: frozenset[str] = frozenset({"provider_error", "infrastructure_error"})
"""Outcomes that say nothing about the model: in no metric's denominator."""


@dataclass(frozen=True)
class TestRun:
    """One run of the task's tests by the driver, after step ``step`` (None: at the end of the rollout).

    ``judge`` and ``sandbox`` are as in :class:`pytest_repoagent.testrun.base.Verdict`, None where a trace of an
    earlier version does not say.
    """

    __test__ = False

    step: int | None
    passed: bool
    reason: str
    counts: Mapping[str, int]
    text: str
    duration_s: float
    cpu_s: float
    runner: str
    judge: str | None
    sandbox: str | None


@dataclass(frozen=True)
class Step:
    """One model reply and what the driver did with it.

    Attributes:
        index: 0-based position in the rollout.
        new_messages: what the conversation gained since the previous request, besides the assistant's own reply
            (that is the previous step's ``raw``); :func:`pytest_repoagent.protocol.render.state` puts them together.
        window: the policy that decided how much of the conversation was sent.
        prompt_sha256: hash of exactly those messages; the state's name.
        raw: the reply, untouched.
        action: the executed or final action as JSON, None where nothing was executed.
        error_code, error_message: why the reply was no strictly valid action; None where it was.
        strict_valid, lenient_valid: the reply was an action; a lenient reader would have made one of it.
        executed_ok: the tool did its work; None where no tool ran (parse error, final).
        tool_code: why the tool refused (``not_found``, ``path_escape``, ...); None where it did not.
        result: the tool's text, without test output and warnings.
        flags: ways in which a valid step was poor (``exact_repeat``, ``no_op_write``, ...).
        prompt_tokens, completion_tokens: as the provider counted them; None where it did not.
        latency_s: seconds the model took.
        tool_s: seconds the tool took.
        extra: what the model reported besides its text.
    """

    index: int
    new_messages: tuple[Message, ...]
    window: str
    prompt_sha256: str
    raw: str
    finish_reason: str | None
    action: Mapping[str, Any] | None
    error_code: str | None
    error_message: str | None
    strict_valid: bool
    lenient_valid: bool
    executed_ok: bool | None
    tool_code: str | None
    result: str | None
    flags: tuple[str, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_s: float
    tool_s: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """One attempt at one task by one model with one seed.

    ``run`` is the run's facts as recorded in ``run_start`` (settings, suite, versions), ``task`` the task's.
    ``success`` is the driver's own last test run on pristine tests, None where tests never ran. ``cause`` says
    whose fault an ``error`` was (:class:`pytest_repoagent.errors.Cause`), None where there was none.
    """

    rollout_id: str
    run_id: str
    task_id: str
    model: str
    index: int
    seed: int
    attempt: int
    started_at: str
    duration_s: float
    outcome: Outcome
    success: bool | None
    error: str | None
    cause: str | None
    final_summary: str
    diff: str
    files_touched: tuple[str, ...]
    loop_detections: int
    reflection_count: int
    cost_usd: float | None
    run: Mapping[str, Any]
    task: Mapping[str, Any]
    trajectory: tuple[Step, ...]
    tests: tuple[TestRun, ...]
    trace_path: str

    @property
    def counted(self) -> bool:
        """Whether the rollout is in the metrics' denominators; not where the run's budget was spent before its end."""
        return self.outcome not in NOT_COUNTED and self.cause != "budget"

    @property
    def steps(self) -> int:
        """Model replies."""
        return len(self.trajectory)

    @property
    def parse_errors(self) -> int:
        """Replies that were no strictly valid action, whatever a lenient reader made of them."""
        return sum(not s.strict_valid for s in self.trajectory)

    @property
    def parse_errors_by_code(self) -> dict[str, int]:
        """Error code without its argument -> count."""
        return dict(Counter((s.error_code or "").partition(":")[0] for s in self.trajectory if s.error_code))

    @property
    def tool_breakdown(self) -> dict[str, int]:
        """Tool name -> calls executed or refused by the tool."""
        return dict(
            Counter(str(s.action["name"]) for s in self.trajectory if s.action and s.action["type"] == "tool_call")
        )

    @property
    def tool_calls(self) -> int:
        """Calls that reached a tool."""
        return sum(self.tool_breakdown.values())

    @property
    def wrote_file(self) -> bool:
        """Whether a ``write_file`` succeeded."""
        return any(s.executed_ok and s.action is not None and s.action["name"] == "write_file" for s in self.trajectory)

    @property
    def test_runs(self) -> int:
        """How often the driver ran the tests."""
        return len(self.tests)

    @property
    def test_output(self) -> str:
        """What the last test run showed, empty where tests never ran."""
        return self.tests[-1].text if self.tests else ""

    @property
    def prompt_tokens(self) -> int | None:
        """Sum over steps; None where no step was counted."""
        return _sum(s.prompt_tokens for s in self.trajectory)

    @property
    def completion_tokens(self) -> int | None:
        """Sum over steps; None where no step was counted."""
        return _sum(s.completion_tokens for s in self.trajectory)

    def to_report(self) -> dict[str, Any]:
        """The rollout under the names of the report file (``--report``)."""
        metadata = self.task.get("metadata", {})
        return {
            "task_id": self.task_id,
            "run_id": self.run_id,
            "rollout_id": self.rollout_id,
            "model": self.model,
            "rollout": self.index,
            "seed": self.seed,
            "outcome": self.outcome,
            "success": self.success,
            "steps": self.steps,
            "tool_calls": self.tool_calls,
            "tool_breakdown": self.tool_breakdown,
            "files_touched": list(self.files_touched),
            "parse_errors": self.parse_errors,
            "parse_errors_by_code": self.parse_errors_by_code,
            "loop_detections": self.loop_detections,
            "reflection_count": self.reflection_count,
            "test_runs": self.test_runs,
            "duration_s": self.duration_s,
            "error": self.error,
            "final_summary": self.final_summary,
            "test_output": self.test_output,
            "metadata": {**metadata, "expected_files": list(self.task.get("expected_files", ()))},
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": self.cost_usd,
            "diff": self.diff,
            "trace": self.trace_path,
        }


def _sum(values: Iterable[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None
