from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
import store_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs_kit import FIXED, PROGRAM, final, grep, look, read, talk, write
from test_agent import SETTINGS, Scripted, verdict

from builders.history import History, parse_reply
from builders.pairs.rubric import RULES, judge
from pytest_repoagent.agent import Agent
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol.actions import Action, Message, canonical
from pytest_repoagent.protocol.codes import PARSE_CODES
from pytest_repoagent.protocol.render import ELIDED, state
from pytest_repoagent.protocol.spoil import spoil
from pytest_repoagent.tools import BUILT_IN
from pytest_repoagent.trace import Trace
from pytest_repoagent.workspace import Workspace

DOCS = Path(__file__).parent.parent / "docs/preferences.md"
SEEN = (read(), PROGRAM)
HIT = (grep(), "a.py:1:def area(w, h):\nlib/b.py:7:def f():")
FAILED = (write(PROGRAM.replace("+", "-")), "FAIL")
PASSED = (write(FIXED), "PASS")

CASES: dict[str, tuple[list[Message], Action | str, set[str]]] = {
    "prose alone": (talk(), "I will read the file first.", {"invalid"}),
    "an empty reply": (talk(), "", {"invalid"}),
    "a fence": (talk(), f"```json\n{canonical(read())}\n```", {"repairable"}),
    "an absolute path": (talk(), read("/repo/a.py"), {"refused"}),
    "a window of nothing": (talk(SEEN), look(max_files=0), {"refused"}),
    "a pattern that is none": (talk(), grep("(["), {"refused"}),
    "the same read": (talk(SEEN), read(), {"exact_repeat"}),
    "the same read, spelled otherwise": (talk(SEEN), read("./a.py"), {"exact_repeat"}),
    "the same read after a write": (talk(SEEN, FAILED), read(), {"known_text"}),
    "the same read after a write that did nothing": (talk(SEEN, (write(PROGRAM), "FAIL")), read(), {"exact_repeat"}),
    "a file that was elided": (talk((read(), ELIDED.partition("\n")[2])), read(max_chars=8000), {"new_text"}),
    "the same file, smaller window": (talk(SEEN), read(max_chars=200), {"near_repeat"}),
    "the same pattern and directory, fewer hits": (talk(HIT), grep(max_hits=3), {"near_repeat"}),
    "the same pattern elsewhere": (talk(HIT), grep(rel_dir="lib"), set()),
    "the same write": (talk(SEEN, FAILED), FAILED[0], {"exact_repeat", "no_op_write"}),
    "a write of what is there": (talk(SEEN), write(PROGRAM), {"no_op_write"}),
    "half a program": (talk(SEEN), write("def area(w, h):\n    # ... rest of the code\n"), {"broken_content"}),
    "a program that does not compile": (talk(SEEN), write("def area(w, h)\n    return w * h\n"), {"broken_content"}),
    "a final at once": (talk(SEEN), final(), {"premature_final"}),
    "a final after a failure": (talk(SEEN, FAILED), final(), {"unproven_final"}),
    "a final after a pass": (talk(SEEN, PASSED), final(), {"done"}),
    "a final, tests unknown": (talk(SEEN, (FAILED[0], "Wrote a.py (9 chars).")), final(), set()),
    "another look after a pass": (talk(SEEN, PASSED), look(), {"goes_on"}),
    "a file nobody named": (talk(), read("src/other.py"), {"guessed_path", "new_text"}),
    "a file of the goal": (talk(), read(), {"new_text"}),
    "more of a file": (talk((read(max_chars=9), "def area(\n[truncated: the first 9]")), read(), {"new_text"}),
    "a hit with room": (talk(HIT), read("lib/b.py"), {"follows_hit", "new_text"}),
    "a hit without room": (talk(HIT), read("lib/b.py", 200), {"cramped", "new_text"}),
    "a hit, but something came between": (talk(HIT, (look(), "a.py")), read("lib/b.py"), {"new_text"}),
    "a write where nothing was seen": (talk(), write(FIXED), {"blind_write"}),
    "a new file": (talk(SEEN), write("x = 1\n", "new.py"), set()),
    "the repair": (talk(SEEN), write(FIXED), {"localised_write"}),
    "the repair of what was elided": (talk((read(), ELIDED.partition("\n")[2])), write(FIXED), {"blind_write"}),
    "a call after a lenient one": (
        talk((f"```json\n{canonical(read())}\n```", f"[tool_result]\n{PROGRAM}")),
        read(),
        {"exact_repeat"},
    ),
    "a call after a refused one": (talk((read("b.py"), "[error] not_found: no b.py")), read("b.py"), {"exact_repeat"}),
    "a call after an invalid one": (talk(("no", "[parse_error] no_json: send one object")), read(), {"new_text"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_rules_that_apply(name: str) -> None:
    messages, said, rules = CASES[name]
    raw = said if isinstance(said, str) else canonical(said)
    judged = judge(History(messages), raw)
    assert set(judged.rules) == rules
    assert judged.points == sum(RULES[rule].points for rule in rules)
    assert judged.text == raw
    assert (judged.action is None) == bool(rules & {"invalid", "repairable"})


def test_tests_that_were_run_count() -> None:
    history = History(talk(SEEN))
    known = {tests: judge(history, canonical(write(FIXED)), tests=tests) for tests in (True, None, False)}
    assert [set(known[tests].rules) - {"localised_write"} for tests in known] == [{"tests_pass"}, set(), {"tests_fail"}]
    assert known[True].points > known[None].points > known[False].points


def test_every_rule_has_a_case() -> None:
    shown = {rule for _, _, rules in CASES.values() for rule in rules}
    assert shown | {"tests_pass", "tests_fail"} == set(RULES)


def test_every_rule_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([+-]\d+) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [(name, f"{rule.points:+}", rule.meaning) for name, rule in RULES.items()]


def test_the_example_of_the_idea() -> None:
    """After a hit, reading the file with room is better than peeping, and that is better than searching again."""
    history = History(talk(HIT))
    ranked = [judge(history, canonical(action)).points for action in (read("lib/b.py"), read("lib/b.py", 200), grep())]
    assert ranked == sorted(set(ranked), reverse=True)


def test_canonical_text_of_any_spelling() -> None:
    judged = judge(
        History(talk()), ' {"args": {"max_chars": 4000, "rel_path": "a.py"}, "name":"read_file", "type":"tool_call"}\n'
    )
    assert judged.text == canonical(read())  # fmt: skip


def test_a_cut_reply_is_known_by_its_finish_reason() -> None:
    judged = judge(History(talk()), f"Now: {canonical(read())}", "length")
    assert judged.faults == ("truncated",)


@given(st.text() | st.text().map(lambda text: f'{{"type":"tool_call","name":"read_file","args":{{{text}'))
def test_any_reply_is_judged(raw: str) -> None:
    judged = judge(History(talk(SEEN, HIT)), raw)
    assert (judged.action is None) == (parse_reply(raw).action is None)
    assert judged.action is not None or (judged.points < 0 and judged.text == raw and judged.faults)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), max_size=6))
def test_any_conversation_can_be_read(turns: list[tuple[str, str]]) -> None:
    messages: list[Message] = [{"role": role, "content": text} for role, text in turns]  # type: ignore[typeddict-item]
    assert judge(History(messages), canonical(read())).action == read()


REPLIES = [
    *(read(path, size) for path in ("src/area.py", "./README.md", "nowhere.py") for size in (40, 500, 4000)),
    *(look(folder, size) for folder in (".", "src/") for size in (1, 50)),
    *(grep(pattern, ".", size) for pattern in ("def", "(") for size in (0, 1, 20)),
    *(write(text, path) for text in (PROGRAM, FIXED, "def area(") for path in ("src/area.py", "new.py", "../x.py")),
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*map(canonical, REPLIES), "no", "{}"]), min_size=1, max_size=15), st.booleans())
def test_flags_are_those_that_the_harness_gave(workspace: Workspace, replies: list[str], reflection: bool) -> None:
    """What is read back from messages alone agrees with what the agent saw in its workspace, once it has seen it."""
    everything = [canonical(read(path, 40_000)) for path in ("src/area.py", "README.md")]
    with TemporaryDirectory() as folder, Trace(Path(folder) / "trace.jsonl") as log:
        start = store_factory.events()[0]
        log.emit("run_start", **{name: value for name, value in start.items() if name not in ("kind", "ts")})
        agent = Agent(
            "fix",
            lambda: Scripted(*everything, *replies, canonical(final())),
            Workspace(workspace._root, workspace.paths(), ["src/"]),
            {tool.spec.name: tool for tool in BUILT_IN},
            lambda: verdict(False),
            replace(SETTINGS, max_loops=99, reflection=reflection),
            log,
        )
        agent.run()
        rollout = fold(log.events, "")
    assert rollout.outcome == "final"
    new, raws = [s.new_messages for s in rollout.trajectory], [s.raw for s in rollout.trajectory]
    for step in rollout.trajectory[:-1]:
        action = parse_reply(step.raw).action
        if action is not None:
            assert History(state(new, raws, step.index, "full")).flags(action) == step.flags
    last = History(state(new, raws, len(raws) - 1, "full"))
    executed = [s.action for s in rollout.trajectory if s.executed_ok]
    assert [call.to_json() for call in last.calls] == executed
    for path, text in agent.workspace.written.items():
        assert last.text(path) == text


def test_a_spoiled_action_is_worse_than_itself() -> None:
    history = History(talk(SEEN))
    good = judge(history, canonical(write(FIXED)))
    for code in PARSE_CODES:
        text = spoil(write(FIXED), code, Random(1))
        assert text is not None
        assert judge(history, text, "length" if code == "truncated" else None).points < good.points
