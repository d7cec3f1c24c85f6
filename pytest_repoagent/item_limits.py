"""What an item tolerates, whether a finished rollout keeps to it, and how that is told.

Judging calls no model and can be done again under other limits.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field

from pytest_repoagent.rollout import Rollout, Step

_SHOWN_CHARS = 1_500


class ItemLimits(BaseModel):
    """What an item tolerates before it fails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_parse_errors: int = Field(default=0, ge=0)
    max_loop_detections: int = Field(default=0, ge=0)
    require_write: bool = True
    require_pass: bool = False


def violations(rollout: Rollout, limits: ItemLimits) -> list[str]:
    """The limits that a rollout breaks, one sentence each; empty where it is good."""
    broken = []
    if rollout.parse_errors > limits.max_parse_errors:
        codes = ", ".join(f"{code} {n}" for code, n in sorted(rollout.parse_errors_by_code.items()))
        broken.append(f"{rollout.parse_errors} parse errors ({codes}), allowed {limits.max_parse_errors}")
    if rollout.loop_detections > limits.max_loop_detections:
        broken.append(f"{rollout.loop_detections} loop detections, allowed {limits.max_loop_detections}")
    if limits.require_write and not rollout.wrote_file:
        broken.append("no file was written")
    if limits.require_pass and not rollout.success:
        broken.append("tests never ran" if rollout.success is None else "the tests do not pass")
    return broken


def explain(rollout: Rollout, broken: list[str]) -> str:
    """The failure message: what is broken, the first offending message with its code, and where the trace is."""
    head = f"{rollout.task_id} by {rollout.model}, rollout {rollout.index}: {'; '.join(broken)}"
    parts = [head, f"outcome {rollout.outcome} after {rollout.steps} steps"]
    bad = next((s for s in rollout.trajectory if s.error_code), None)
    looping = next((s for s in rollout.trajectory if "exact_repeat" in s.flags or "near_repeat" in s.flags), None)
    if bad is not None and rollout.parse_errors:
        parts.append(f"step {bad.index} was no valid action, {bad.error_code}: {bad.error_message}\n{_shown(bad)}")
    elif looping is not None:
        parts.append(f"step {looping.index} looped, {', '.join(looping.flags)}\n{_shown(looping)}")
    if rollout.success is False:
        parts.append(f"last test run: {rollout.test_output}")
    parts.append(f"trace: {rollout.trace_path}")
    return "\n".join(parts)


def _shown(step: Step) -> str:
    text = step.raw if len(step.raw) <= _SHOWN_CHARS else step.raw[:_SHOWN_CHARS] + "..."
    return (
        "\n".join("    " + line for line in text.splitlines())
        or f"    (no text{', but ' + json.dumps(step.extra) if step.extra else ''})"
    )
