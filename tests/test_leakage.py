from __future__ import annotations

import ast
import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rollout_kit as kit
from hypothesis import given
from hypothesis import strategies as st

from builders import leakage, rollouts, selection
from builders.choices import RolloutRules, StepRules
from builders.fingerprints import Programs, functions, structure, words
from pytest_repoagent import bundled
from pytest_repoagent.errors import SuiteError
from pytest_repoagent.store import reader
from pytest_repoagent.suites import Suite, load_suite

HELD_OUT = load_suite(bundled.suites_dir() / "minibugs_heldout.json")
TRAIN = load_suite(bundled.suites_dir() / "minibugs_train.json")


def texts(suite: Suite, folder: str) -> list[tuple[str, str]]:
    return [(task.name, (bundled.minibugs_dir() / folder / f"{task.name}.py").read_text()) for task in suite.tasks]


HELD_OUT_PROGRAMS = texts(HELD_OUT, "python_programs") + texts(HELD_OUT, "correct_python_programs")


IN_STRINGS: dict[str, dict[str, Any]] = {
    "in a summary": {"type": "final", "summary": "PROGRAM", "changes": []},
    "in a change": {"type": "final", "summary": "Done.", "changes": [{"path": "a.py", "description": "PROGRAM"}]},
    "in a thought": {"type": "tool_call", "name": "read_file", "args": {"rel_path": "a.py", "thought": "PROGRAM"}},
}


def _filled(value: Any, program: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, program) for name, part in value.items()}
    return [_filled(part, program) for part in value] if isinstance(value, list) else value.replace("PROGRAM", program)


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs(HELD_OUT_PROGRAMS)


def test_training_programs_are_no_held_out_ones(programs: Programs) -> None:
    for folder in ("python_programs", "correct_python_programs"):
        for name, text in texts(TRAIN, folder):
            assert programs.match(text) is None, name


@pytest.mark.parametrize("number", range(len(HELD_OUT_PROGRAMS)))
def test_a_held_out_program_is_known_however_it_is_shown(programs: Programs, number: int) -> None:
    name, text = HELD_OUT_PROGRAMS[number]
    shown = {
        "as it is": text,
        "reformatted": ast.unparse(ast.parse(text)),
        "with comments": text.replace("\n", "  # why not\n"),
        "in other text": f"I read the file.\n\n{text}\n[TESTS FAIL] 3 of 5\n" + "a b c d e f g\n" * 200,
        "with a line less": "\n".join(text.splitlines()[:-1]),
    }
    for how, changed in shown.items():
        match = programs.match(changed)
        assert match is not None, how
        assert match.name == name


def test_a_renamed_copy_is_known_by_its_structure() -> None:
    body = "\n    values = sorted(values)\n    return [value * factor for value in values if value > 0]\n"
    original = f"def scale(values, factor):\n    '''Docs.'''{body}"
    renamed = (
        "class A:\n    def g(self, y): pass\n\ndef s(a, b):\n    a = sorted(a)\n    return [c*b for c in a if c > 0]\n"
    )
    match = Programs([("scale", original)]).match(renamed)
    assert match is not None
    assert match.how == "a function of the same structure"
    assert Programs([("scale", original)]).match(renamed.replace("> 0", ">= 0")) is None
    assert Programs([("scale", original)]).match(renamed.replace("a if", "max(a) if")) is None


def test_built_in_names_are_part_of_the_structure() -> None:
    program = "def f(a):\n    b = [c + 1 for c in a]\n    d = {}(b)\n    return d + b[0]\n"
    (least,), (most,) = functions(program.format("min")), functions(program.format("max"))
    assert structure(least) != structure(most)


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    assert all(word and not word.isspace() for word in words(text))
    Programs([("a", text)]).match(text)


def select(store: Path, *suites: str) -> tuple[list[str], Counter[str]]:
    """The tasks whose steps are read, and why the others are not."""
    with selection.open_store(store, store.with_name("spill")) as connection:
        held_out = leakage.load(connection, suites, None)
        selection.select_rollouts(connection, RolloutRules(), held_out)
        selection.select_steps(connection, StepRules())
        dropped = selection.selected(connection).dropped
        return [rollout.task_id for rollout in rollouts.read(connection, held_out, dropped)], dropped


def test_held_out_tasks_and_families_are_refused_whatever_the_run_says(tmp_path: Path) -> None:
    task = HELD_OUT.tasks[0]
    store = kit.store(
        tmp_path / "s",
        kit.rollout(task=task.task_id, family="unknown"),
        kit.rollout(task="own/variant", family=task.family),
        kit.rollout(task="own/measured", split="heldout", run="run2"),
        kit.rollout(task="own/measured", family="a", run="run3"),
        kit.rollout(task="own/sibling", family="measured"),
        kit.rollout(task="own/fine"),
    )
    assert select(store) == (["own/fine"], Counter({"held-out task": 12, "held-out family": 8}))


@pytest.mark.parametrize("before", ["", "[tool_result]\n", "a.py:12:x = 1\n"])
@pytest.mark.parametrize("after", ["", "\n[loop_warning] again", "\n[truncated: 20 characters more]"])
@pytest.mark.parametrize("how", ["nested", "hits", "decorated"])
def test_a_renamed_copy_is_known_among_other_text(before: str, after: str, how: str) -> None:
    body = "    {0} = sorted({0})\n    return [c * {1} for c in {0} if c > 0 and c < 100]\n"
    original = f"def scale(values, factor):\n{body.format('values', 'factor')}"
    copy = f"def s(\n    a,\n    b,\n):\n{body.format('a', 'b')}"
    if how == "nested":
        copy = "def outer():\n" + "".join(f"    {line}\n" for line in copy.splitlines()) + "    return s\n"
    elif how == "hits":
        copy = "".join(f"p/q.py:{number}:{line}\n" for number, line in enumerate(copy.splitlines(), 1))
    else:
        copy = f"@cache\n{copy}"
    match = Programs([("scale", original)]).match(f"{before}{copy}{after}")
    assert match is not None
    assert match.how == "a function of the same structure"


@pytest.mark.parametrize("shown", ["read", "written", "written and refused", "in the goal", "in prose", *IN_STRINGS])
def test_a_rollout_that_shows_a_held_out_program_is_refused_whole(tmp_path: Path, shown: str) -> None:
    name, program = HELD_OUT_PROGRAMS[0]
    replies = [kit.read(), kit.write(program if shown.startswith("written") else kit.GOOD), kit.FINAL]
    if shown == "in prose":
        replies.insert(0, f"I would write {kit.write(program)}")
    if shown in IN_STRINGS:
        replies[2 if "summary" in IN_STRINGS[shown] else 0] = json.dumps(_filled(IN_STRINGS[shown], program))
    store = kit.store(
        tmp_path / "s",
        kit.rollout(
            replies,
            task="minibugs/own",
            goal=f"Fix this:\n{program}" if shown == "in the goal" else None,
            results={0: program} if shown == "read" else {},
            refused={1: "protected_path"} if "refused" in shown else {},
        ),
        kit.rollout(task="minibugs/fine"),
    )
    tasks, dropped = select(store)
    assert tasks == ["minibugs/fine"]
    (reason,) = (reason for reason in dropped if "shows" in reason)
    assert reason.startswith(f"shows held-out minibugs/{name} (")


def test_programs_are_compared_with_where_they_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUIXBUGS_ROOT", raising=False)
    own = kit.store(tmp_path / "own", kit.rollout())
    mini = kit.store(tmp_path / "mini", kit.rollout(task="minibugs/x"))
    with closing(reader.connect(own)) as connection:
        held_out = leakage.load(connection, [], None)
        assert (held_out.compared, list(held_out.not_compared)) == (("minibugs_heldout",), ["quixbugs_heldout"])
    with closing(reader.connect(mini)) as connection:
        held_out = leakage.load(connection, [], None)
        assert (held_out.compared, list(held_out.not_compared)) == (("minibugs_heldout",), ["quixbugs_heldout"])


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    store = kit.store(tmp_path / "s", kit.rollout())
    with closing(reader.connect(store)) as connection, pytest.raises(SuiteError, match="there is no suite 'nowhere'"):
        leakage.load(connection, ["nowhere"], None)
