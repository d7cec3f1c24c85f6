"""What the tables can hold of a rollout that somebody else's file describes.

Types are those of the columns, and nothing is converted, so that what is recorded is what the file said. Old-style
traces leave most facts unknown; only what names a rollout and makes its steps has to be there.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_repoagent.rollout import Rollout

_Small = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_Large = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Object = dict[str, Any]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, from_attributes=True, allow_inf_nan=False)


class _TestRun(_Record):
    step: _Small | None
    passed: bool
    reason: str | None
    counts: dict[str, Any] | None
    text: str | None
    duration_s: float | None
    cpu_s: float | None
    runner: str | None
    judge: str | None
    sandbox: str | None


class _Step(_Record):
    index: _Small
    new_messages: tuple[dict[str, str], ...]
    window: str | None
    prompt_sha256: str | None
    raw: str
    finish_reason: str | None
    action: _Object | None
    error_code: str | None
    error_message: str | None
    strict_valid: bool
    lenient_valid: bool
    executed_ok: bool | None
    tool_code: str | None
    result: str | None
    flags: tuple[str, ...]
    prompt_tokens: _Large | None
    completion_tokens: _Large | None
    latency_s: float | None
    tool_s: float | None
    extra: _Object


class _Rollout(_Record):
    rollout_id: str
    run_id: str
    task_id: str | None
    model: str | None
    index: _Small | None
    seed: _Large | None
    attempt: _Small | None
    started_at: str | None
    duration_s: float | None
    outcome: str | None
    success: bool | None
    error: str | None
    cause: str | None
    final_summary: str | None
    diff: str | None
    files_touched: tuple[str, ...]
    loop_detections: _Small | None
    reflection_count: _Small | None
    cost_usd: float | None
    run: _Object
    task: _Object
    trajectory: tuple[_Step, ...]
    tests: tuple[_TestRun, ...]


def check(rollout: Rollout) -> None:
    """Make sure that a rollout can be recorded.

    Raises:
        ValueError: names the first field that cannot.
    """
    try:
        _Rollout.model_validate(rollout)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
