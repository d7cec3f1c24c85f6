"""A rollout as rows of the store's tables, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pytest_repoagent.rollout import Rollout, Step, TestRun

Row = dict[str, Any]

_ROLLOUT = (
    *("rollout_id", "run_id", "task_id", "model", "seed", "attempt", "duration_s", "outcome", "success", "error"),
    *("cause", "final_summary", "diff", "loop_detections", "reflection_count", "cost_usd", "trace_path"),
)
_ROLLOUT_DERIVED = (
    *("counted", "steps", "tool_calls", "wrote_file", "parse_errors", "test_runs", "test_output"),
    *("prompt_tokens", "completion_tokens"),
)
_STEP = (
    *("prompt_sha256", "finish_reason", "strict_valid", "lenient_valid", "error_code", "error_message"),
    *("executed_ok", "tool_code", "prompt_tokens", "completion_tokens", "latency_s", "tool_s"),
)
_BETWEEN = "\x1e"
"""Between the texts of a step; JSON spells it out, so that only the last of them can hold it."""
_TEST_RUN = ("step", "passed", "reason", "text", "duration_s", "cpu_s", "runner")
_TEST_RUN_SINCE_2 = ("judge", "sandbox")

_HALF_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(value: Any) -> Any:
    """``value`` as DuckDB can take it: half surrogate pairs, which UTF-8 cannot carry, become U+FFFD."""
    if isinstance(value, str):
        return _HALF_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def same(one: Rollout, other: Rollout) -> bool:
    """Whether two are one rollout, as far as the store can tell and wherever their traces lie."""
    return _content(one) == _content(other)


def run_row(rollout: Rollout) -> Row:
    """The row of ``runs`` that the rollout's own account of its run makes."""
    run = rollout.run
    return {
        "run_id": rollout.run_id,
        "started_at": _timestamp(run.get("started_at")),
        **{name: run.get(name) for name in ("suite", "suite_sha256", "split", "source", "commit", "settings_hash")},
        "settings": _json_or_null(run.get("settings")),
        "versions": _json_or_null(run.get("versions")),
    }


def rollout_row(rollout: Rollout) -> Row:
    """The row of ``rollouts``."""
    metadata = rollout.to_report()["metadata"]
    return {
        **{name: getattr(rollout, name) for name in (*_ROLLOUT, *_ROLLOUT_DERIVED)},
        **{name: rollout.run.get(name) for name in ("suite", "split", "source", "settings_hash", "runner", "sandbox")},
        **{name: metadata.get(name) for name in ("difficulty", "category", "defect_class")},
        "family": rollout.task.get("family"),
        "rollout": rollout.index,
        "started_at": _timestamp(rollout.started_at),
        "tool_breakdown": _json(rollout.tool_breakdown),
        "files_touched": list(rollout.files_touched),
        "parse_errors_by_code": _json(rollout.parse_errors_by_code),
        "metadata": _json(metadata),
        "run_facts": _json(rollout.run),
        "task_facts": _json(rollout.task),
    }


def step_row(rollout_id: str, step: Step) -> Row:
    """The row of ``steps``, without its generated columns."""
    action = "" if step.action is None else _json(step.action)
    texts = (_json(step.new_messages), action if action != step.raw else "", _json(step.result), step.raw)
    return {
        **{name: getattr(step, name) for name in _STEP},
        "rollout_id": rollout_id,
        "step": step.index,
        "texts": _BETWEEN.join(texts),
        "window_policy": step.window,
        "error_family": step.error_code.partition(":")[0] if step.error_code else None,
        "acted": step.action is not None,
        "tool": step.action.get("name") if step.action else None,
        "flags": list(step.flags),
        "extra": _json(step.extra),
    }


def parts_of(texts: str, acted: bool) -> tuple[str, str | None, str]:
    """The columns ``new_messages``, ``action`` and ``raw`` of a step, from its own two at a third of DuckDB's cost."""
    new_messages, action, _, raw = texts.split(_BETWEEN, 3)
    return new_messages, (action or raw) if acted else None, raw


def test_run_row(rollout_id: str, n: int, test_run: TestRun) -> Row:
    """The row of ``test_runs``; ``n`` is the run's place in the rollout."""
    return {
        **{name: getattr(test_run, name) for name in (*_TEST_RUN, *_TEST_RUN_SINCE_2)},
        "rollout_id": rollout_id,
        "n": n,
        "counts": _json_or_null(test_run.counts),
    }


def to_rollout(rollout: Row, steps: Sequence[Row], test_runs: Sequence[Row]) -> Rollout:
    """The rollout that these rows were made from; ``steps`` and ``test_runs`` in order."""
    return Rollout(
        **{name: rollout[name] for name in _ROLLOUT},
        index=rollout["rollout"],
        started_at=_text(rollout["started_at"]),
        files_touched=tuple(rollout["files_touched"]),
        run=json.loads(rollout["run_facts"]),
        task=json.loads(rollout["task_facts"]),
        trajectory=tuple(map(_to_step, steps)),
        tests=tuple(map(_to_test_run, test_runs)),
    )


def _to_step(row: Row) -> Step:
    return Step(
        **{name: row[name] for name in (*_STEP, "raw", "result")},
        index=row["step"],
        new_messages=tuple(json.loads(row["new_messages"])),
        window=row["window_policy"],
        action=_value(row["action"]),
        flags=tuple(row["flags"]),
        extra=json.loads(row["extra"]),
    )


def _to_test_run(row: Row) -> TestRun:
    known = {name: row[name] for name in _TEST_RUN} | {name: row.get(name) for name in _TEST_RUN_SINCE_2}
    return TestRun(**known, counts=_value(row["counts"]))


def _content(rollout: Rollout) -> Row:
    facts = {
        **vars(rollout),
        "started_at": str(_timestamp(rollout.started_at)),
        "trace_path": None,
        "trajectory": [vars(step) for step in rollout.trajectory],
        "tests": [vars(test_run) for test_run in rollout.tests],
    }
    content: Row = json.loads(storable(_json(facts)))
    return content


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json_or_null(value: Any) -> str | None:
    return None if value is None else _json(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _timestamp(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"the time {text} has no zone")
    return time.astimezone(UTC).replace(tzinfo=None)


def _text(time: datetime | None) -> Any:
    """The time as a trace spells it."""
    if time is None:
        return None
    return time.replace(tzinfo=UTC).isoformat(timespec="microseconds" if time.microsecond % 1000 else "milliseconds")
