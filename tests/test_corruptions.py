from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs_kit import FIXED, PROGRAM, fill, final, grep, look, read, suite, talk, write

from builders import leakage, selection
from builders.choices import RolloutRules
from builders.history import History, parse_reply
from builders.pairs.at_state import read_mix
from builders.pairs.corruptions import CORRUPTIONS, EVEN, corrupt, draw
from pytest_repoagent.cli import main
from pytest_repoagent.protocol.actions import Action
from pytest_repoagent.protocol.codes import CODES, PARSE_CODES
from pytest_repoagent.store.reader import query
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.workspace import Refused, Workspace

TOOLS = {tool.spec.name: tool for tool in BUILT_IN}
FILES = {"a.py": PROGRAM, "tests/test_a.py": "from a import area\n"}
LISTED = (look(), "a.py\ntests/test_a.py")
SEEN = (read(), PROGRAM)
HISTORIES = {
    "opening": talk(),
    "listed and read": talk(LISTED, SEEN),
    "searched": talk((grep("area"), "a.py:1:def area(w, h):"), SEEN),
    "failed": talk(LISTED, SEEN, (write(PROGRAM.replace("+", "-")), "FAIL")),
    "passed": talk(SEEN, (write(FIXED), "PASS")),
}
ACTIONS: list[Action] = [look("tests"), read("tests/test_a.py"), grep("return"), write(FIXED), final()]
ALL = [(name, action) for name in HISTORIES for action in ACTIONS]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def fault(text: str, code: str, history: History, files: Path) -> str | None:
    """What the harness would say to a reply at this state."""
    parsed = parse_reply(text, "length" if code == "truncated" else None)
    if parsed.error is not None:
        return parsed.error.family
    assert parsed.action is not None
    workspace = Workspace(files, FILES, ["a.py"])
    workspace.written.update({path: text for path, text in history.files.written.items() if path in FILES})
    flags = history.flags(parsed.action)
    if code in flags:
        return code
    try:
        TOOLS[parsed.action.name].run(workspace, parsed.action.args)  # type: ignore[union-attr]
    except Refused as refused:
        return refused.code
    return flags[0] if flags else None


@pytest.mark.parametrize("code", CORRUPTIONS)
def test_a_corruption_has_the_fault_it_is_tagged_with(code: str, files: Path) -> None:
    made = 0
    for name, action in ALL:
        history = History(HISTORIES[name])
        for seed in range(5):
            text = corrupt(action, history, code, Random(seed))
            if text is not None:
                made += 1
                assert fault(text, code, history, files) == code, (name, text)
    assert made


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_a_draw_is_always_possible_and_repeatable(action: Action) -> None:
    for messages in HISTORIES.values():
        history = History(messages)
        drawn = [draw(action, history, EVEN, Random(7)) for _ in range(2)]
        assert drawn[0] is not None
        assert drawn[0] == drawn[1]


def test_draws_follow_the_mix() -> None:
    history, rng = History(HISTORIES["listed and read"]), Random(0)
    mix = {"code_fence": 70, "missing_required": 20, "exact_repeat": 10, "binary_file": 1000}
    drawn = Counter(found[0] for _ in range(2000) if (found := draw(write(FIXED), history, mix, rng)))
    assert drawn.total() == 2000
    assert {code: round(n / 2000, 1) for code, n in drawn.items()} == {
        "code_fence": 0.7,
        "missing_required": 0.2,
        "exact_repeat": 0.1,
    }


def test_what_an_action_does_not_allow_goes_to_the_others() -> None:
    history = History(HISTORIES["opening"])
    assert draw(final(), history, {"exact_repeat": 5, "no_op_write": 5}, Random(0)) is None
    drawn = {draw(final(), history, {"exact_repeat": 99, "code_fence": 1}, Random(seed)) for seed in range(9)}
    assert {found[0] for found in drawn if found} == {"code_fence"}


@given(st.sampled_from(CORRUPTIONS), st.sampled_from(ALL), st.integers())
def test_the_action_itself_is_never_a_corruption(code: str, at: tuple[str, Action], seed: int) -> None:
    name, action = at
    text = corrupt(action, History(HISTORIES[name]), code, Random(seed))
    assert text is None or parse_reply(text, "length" if code == "truncated" else None).action != action


def test_codes_are_the_protocols() -> None:
    assert set(PARSE_CODES) < set(CORRUPTIONS) <= set(CODES)


def test_the_mix_is_what_the_model_did_at_training_tasks(tmp_path: Path) -> None:
    store = tmp_path / "store.duckdb"
    fill(store, ["novice:oracle@0.5"], rollouts=4)
    fill(store, ["novice:oracle@0.9"], suite("heldout"), seed=9)
    with selection.open_store(store, tmp_path) as connection:
        held_out = leakage.load(connection, [], None)
        selection.select_rollouts(connection, RolloutRules(require_success=False), held_out)
        mix = read_mix(connection, "novice:oracle@0.5")
        assert read_mix(connection, "novice:oracle@0.9") == {}
    _, rows = query(
        store, "SELECT extra->>'injected' FROM steps JOIN rollouts USING (rollout_id) WHERE split = 'train'"
    )
    injected = Counter(code for (code,) in rows if code)
    assert {code: n for code, n in mix.items() if code in PARSE_CODES} == injected


def test_the_mix_of_a_model_that_was_only_branched_is_that_of_its_replies(tmp_path: Path) -> None:
    store, student = tmp_path / "store.duckdb", "novice:oracle@0.8"
    fill(store, ["oracle"])
    assert main(["build", "branch", "--db", str(store), "--student", student, "--samples", "2"]) == 0
    with selection.open_store(store, tmp_path) as connection:
        selection.select_rollouts(connection, RolloutRules(), leakage.load(connection, [], None))
        mix = read_mix(connection, student)
    found = "SELECT error_family, count(*) FROM branches WHERE error_family IS NOT NULL GROUP BY ALL"
    assert mix == dict(query(store, found)[1])
    assert sum(mix.values()) > 9
