"""From a trace to the record of its rollout: the same for a live run and a recorded one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_repoagent import trace
from pytest_repoagent.rollout import Rollout, Step, TestRun


class UnfinishedTrace(ValueError):
    """There are no events, or no ``run_end``: the rollout is still running, or was killed."""


def fold(events: Iterable[Mapping[str, Any]], trace_path: str) -> Rollout:
    """Make the record from trace events.

    Args:
        events: the events in the order written (see :mod:`pytest_repoagent.trace` for their fields).
        trace_path: where they came from, kept in the record.

    Raises:
        UnfinishedTrace: there are no events, or there is no ``run_end``.
        KeyError, TypeError, ValueError: an event lacks a field or has one of another type.
    """
    start: Mapping[str, Any] | None = None
    end: Mapping[str, Any] | None = None
    request: Mapping[str, Any] | None = None
    steps: list[dict[str, Any]] = []
    tests: list[TestRun] = []
    summary = ""
    event: Mapping[str, Any] | None = None
    for event in events:
        match event["kind"]:
            case "run_start":
                if start is not None:
                    raise ValueError("a second run_start: it holds several rollouts")
                start = event
            case "llm_request":
                request = event
            case "llm_action":
                if request is None or request["step"] != event["step"]:
                    raise ValueError(f"llm_action of step {event['step']} has no llm_request")
                if event["step"] != len(steps):
                    raise ValueError(f"llm_action of step {event['step']} comes after {len(steps)} steps")
                steps.append(_step_fields(request, event))
            case "tool_result":
                if event["step"] != len(steps) - 1:
                    raise ValueError(f"tool_result of step {event['step']} comes after {len(steps)} steps")
                steps[-1].update(
                    executed_ok=event["ok"],
                    tool_code=event["code"],
                    result=event["content"],
                    tool_s=event["duration_s"],
                )
            case "test_run":
                tests.append(_test_run(event))
            case "final":
                summary = event["summary"]
            case "run_end":
                end = event
    if event is None:
        raise UnfinishedTrace(f"{trace_path} has no events")
    if start is None:
        raise ValueError("no run_start event")
    if end is None:
        raise UnfinishedTrace(f"{trace_path} has no run_end")
    return Rollout(
        rollout_id=start["rollout_id"],
        run_id=start["run_id"],
        task_id=start["task_id"],
        model=start["model"],
        index=start["index"],
        seed=start["seed"],
        attempt=start["attempt"],
        started_at=start["ts"],
        duration_s=end["duration_s"],
        outcome=end["outcome"],
        success=end["success"],
        error=end["error"],
        cause=end["cause"],
        final_summary=summary,
        diff=end["diff"],
        files_touched=tuple(end["files_touched"]),
        loop_detections=end["loop_detections"],
        reflection_count=end["reflection_count"],
        cost_usd=end["cost_usd"],
        run=start["run"],
        task=start["task"],
        trajectory=tuple(Step(**fields) for fields in steps),
        tests=tuple(tests),
        trace_path=trace_path,
    )


def _step_fields(request: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "index": event["step"],
        "new_messages": tuple(request["new_messages"]),
        "window": request["window"],
        "prompt_sha256": request["prompt_sha256"],
        "raw": event["raw"],
        "finish_reason": event["finish_reason"],
        "action": event["action"],
        "error_code": event["error_code"],
        "error_message": event["error_message"],
        "strict_valid": event["strict_valid"],
        "lenient_valid": event["lenient_valid"],
        "flags": tuple(event["flags"]),
        "prompt_tokens": event["prompt_tokens"],
        "completion_tokens": event["completion_tokens"],
        "latency_s": event["latency_s"],
        "extra": event["extra"],
        "executed_ok": None,
        "tool_code": None,
        "result": None,
        "tool_s": 0.0,
    }


def _test_run(event: Mapping[str, Any]) -> TestRun:
    return TestRun(
        step=event["step"],
        passed=event["passed"],
        reason=event["reason"],
        counts=event["counts"],
        text=event["text"],
        duration_s=event["duration_s"],
        cpu_s=event["cpu_s"],
        runner=event["runner"],
        judge=event.get("judge"),
        sandbox=event.get("sandbox"),
    )


def read_finished(path: Path) -> Rollout | None:
    """The record of a trace file, None where the rollout has not ended.

    Raises:
        OSError: the file cannot be read.
        KeyError, TypeError, ValueError: it is no trace.
    """
    try:
        return fold(trace.read(path), str(path))
    except UnfinishedTrace:
        return None
