from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs_kit import FIXED, PROGRAM, final, grep, look, read, talk, write

from builders.examples import State
from builders.history import History
from builders.pairs.lint import REASONS, Candidate, code, reason
from builders.pairs.rubric import Judged, judge
from pytest_repoagent.protocol.actions import Action, Message, ToolCall, canonical
from pytest_repoagent.protocol.render import prompt_sha256

DOCS = Path(__file__).parent.parent / "docs/preferences.md"
SEEN = (read(), PROGRAM)
START = talk(SEEN)
LONG = "".join(f"x{n} = {n}\n" for n in range(20))
PATCH = "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n def area(w, h):\n-    return w + h\n+    return w * h\n"


def state(messages: list[Message]) -> State:
    facts = {"rollout_id": "r", "run_id": "run", "step": 1, "task_id": "t/a", "family": "a"}
    shown = prompt_sha256(messages)
    return State(tuple(messages), shown, shown, model="teacher", **facts)  # type: ignore[arg-type]


def pair(good: Action | str, bad: Action | str, messages: list[Message] = START) -> Candidate:
    history = History(messages)
    better, worse = (judge(history, said if isinstance(said, str) else canonical(said)) for said in (good, bad))
    return Candidate(state(messages), history, better, worse, "same_state", better.points - worse.points)


def with_tests(candidate: Candidate, good: bool, bad: bool) -> Candidate:
    preferred, rejected = replace(candidate.preferred, tests=good), replace(candidate.rejected, tests=bad)
    return replace(candidate, preferred=preferred, rejected=rejected, margin=5.0)


def texts(good: str, bad: str) -> Candidate:
    better, worse = (Judged(text, None, (), ()) for text in (good, bad))
    return Candidate(state(START), History(START), better, worse, "rollouts:patch", 5.0, acts=False)


def thinking(call: ToolCall, thought: str) -> ToolCall:
    return ToolCall(call.name, {**call.args, "thought": thought})


BAD = {
    "prose against prose": (pair("Sure.", "I will."), "both invalid"),
    "prose preferred": (pair("Sure.", read("b.py")), "preferred is invalid"),
    "fence preferred": (pair(f"`{canonical(read('b.py'))}`", look()), "preferred is invalid"),
    "refused path preferred": (pair(read("/a.py"), "no"), "preferred is invalid"),
    "the same action": (pair(look(), look()), "equal after canonicalisation"),
    "the same action in other spelling": (pair(look(), f" {canonical(look())}\n"), "equal after canonicalisation"),
    "two finals": (pair(final("I fixed it."), final("Nothing to do.")), "both are finals"),
    "the same write, commented": (
        pair(write(FIXED), write(FIXED.replace("two sides", "height times width"))),
        "same patch",
    ),
    "the same write, other layout": (pair(write(FIXED), write(FIXED.replace("    ", "\t"))), "same patch"),
    "the same diff": (texts(PATCH, PATCH), "same patch"),
    "a thought more": (pair(look(), thinking(look(), "First I look around.")), "format-only difference"),
    "another spelling of a path": (pair(read("b.py"), read("./b.py")), "format-only difference"),
    "a loop preferred": (pair(read(), "no"), "preferred repeats an earlier action"),
    "a smaller window preferred": (pair(read(max_chars=10), "no"), "preferred repeats an earlier action"),
    "one call too many after a pass": (pair(look(), "no", talk(SEEN, (write(FIXED), "PASS"))), "preferred is poor"),
    "two failing writes": (with_tests(pair(write(FIXED), look()), False, False), "both fail their tests"),
    "a failing write against another look": (
        with_tests(pair(write(FIXED), look()), False, True),
        "preferred fails its tests",
    ),
    "a file turned over": (pair(write(LONG), "no"), "preferred diff is not minimal"),
    "comments dropped": (
        pair(write(LONG + "y = 2\n"), "no", talk((read(), LONG.replace("\n", "\n# note\n") + "y = 1\n"))),
        "preferred diff is not minimal",
    ),
    "a diff of comments": (
        texts(PATCH + "".join(f"-# {n}\n" for n in range(9)), PATCH),
        "preferred diff is not minimal",
    ),
    "worse preferred": (pair(look(), write(FIXED)), "worse by the rubric"),
    "worse at this state, of a better rollout": (
        replace(pair(look(), write(FIXED)), margin=5.0, construction="rollouts:action"),
        "worse by the rubric",
    ),
    "no better": (pair(look(), look("lib")), "margin too small"),
}
GOOD = {
    "a call against prose": pair(look(), "I will look."),
    "a call against the same call in a fence": pair(look(), f"```json\n{canonical(look())}\n```"),
    "the repair against another look": pair(write(FIXED), look()),
    "the repair against a write of a half": pair(write(FIXED), write("# ... rest of the code\n")),
    "a passing write against a failing one": with_tests(pair(write(FIXED), write(PROGRAM + "\n\n")), True, False),
    "a failing write against its spoiled self": replace(
        pair(write(FIXED), f"```json\n{canonical(write(FIXED))}\n```"),
        preferred=judge(History(START), canonical(write(FIXED)), tests=False),
    ),
    "a final after a pass against another look": pair(final(), look(), talk(SEEN, (write(FIXED), "PASS"))),
    "a small file written anew": pair(write("def area(w, h):\n    return h * w\n"), look()),
    "a one-line change in a long file": pair(write(LONG.replace("x3 = 3", "x3 = 4")), look(), talk((read(), LONG))),
    "a new file": pair(write(LONG, "new.py"), "no"),
    "two diffs": texts(PATCH, PATCH.replace("*", "-")),
    "a narrower search elsewhere against a repeat": pair(
        grep("area", "lib"), grep(), talk((grep(), "a.py:1:def area(w, h):"))
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_pair_is_left_out(name: str) -> None:
    candidate, why = BAD[name]
    assert reason(candidate, 1.0) == why


@pytest.mark.parametrize("name", GOOD)
def test_a_good_pair_stays(name: str) -> None:
    candidate = GOOD[name]
    assert reason(candidate, 1.0) is None
    assert candidate.margin >= 1


def test_every_reason_has_a_case_and_is_documented() -> None:
    assert {why for _, why in BAD.values()} == set(REASONS)
    rows = re.findall(r"^\| ([a-z][a-z' -]+) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert [row for row in rows if row[0] in REASONS] == list(REASONS.items())


def test_the_margin_is_a_matter_of_taste() -> None:
    candidate = GOOD["the repair against another look"]
    assert reason(candidate, candidate.margin) is None
    assert reason(candidate, candidate.margin + 0.5) == "margin too small"


ACTIONS: list[Action] = [read(), read("b.py"), look(), grep(), write(FIXED), write(PROGRAM), final(), final("x")]
SAID = st.text() | st.sampled_from([canonical(action) for action in ACTIONS])


@given(SAID, SAID, st.floats(-10, 10))
def test_what_passes_has_a_valid_better_side_that_differs(good: str, bad: str, margin: float) -> None:
    candidate = replace(pair(good, bad), margin=margin)
    if reason(candidate, 1.0) is None:
        assert candidate.preferred.action is not None
        assert candidate.preferred.action != candidate.rejected.action
        assert margin >= 1
        back = replace(candidate, preferred=candidate.rejected, rejected=candidate.preferred, margin=-margin)
        assert reason(back, 1.0) is not None


@given(st.text())
def test_any_text_is_compared(text: str) -> None:
    assert isinstance(code(text), str)
