from __future__ import annotations

import pytest
import store_factory as make

from pytest_repoagent.item_limits import ItemLimits, explain, violations

GOOD = [make.read(), make.write(), make.final()]
BAD = [make.bad("code_fence"), make.bad("missing_required:content"), make.write(), make.final()]


@pytest.mark.parametrize(
    ("steps", "facts", "limits", "broken"),
    [
        (GOOD, {}, {}, []),
        (BAD, {}, {}, ["2 parse errors (code_fence 1, missing_required 1), allowed 0"]),
        (BAD, {}, {"max_parse_errors": 2}, []),
        (GOOD, {"loops": 1}, {}, ["1 loop detections, allowed 0"]),
        (GOOD, {"loops": 1}, {"max_loop_detections": 1}, []),
        ([make.read(), make.final()], {}, {}, ["no file was written"]),
        ([make.read(), make.final()], {}, {"require_write": False}, []),
        (GOOD, {"success": False}, {}, []),
        (GOOD, {"success": False}, {"require_pass": True}, ["the tests do not pass"]),
        (GOOD, {"success": None}, {"require_pass": True}, ["tests never ran"]),
        (GOOD, {"success": True}, {"require_pass": True}, []),
    ],
)
def test_violations(
    steps: list[dict[str, object]], facts: dict[str, object], limits: dict[str, object], broken: list[str]
) -> None:
    rollout = make.rollout(steps, **facts)  # type: ignore[arg-type]
    assert violations(rollout, ItemLimits.model_validate(limits)) == broken


def test_the_explanation_shows_the_first_bad_message_and_where_to_look() -> None:
    rollout = make.rollout(BAD, trace_path="runs/x.jsonl")
    text = explain(rollout, ["2 parse errors"])
    assert "step 0 was no valid action, code_fence:" in text
    assert rollout.trajectory[0].raw.splitlines()[0] in text
    assert text.endswith("trace: runs/x.jsonl")
