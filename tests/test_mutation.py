from __future__ import annotations

import ast
import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import suite_kit
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent import bundled
from pytest_repoagent.errors import SourceError, SuiteError
from pytest_repoagent.mutation import oddities
from pytest_repoagent.mutation.candidates import Candidate, candidates, line_edit
from pytest_repoagent.mutation.choose import Mutant, choose, unlike
from pytest_repoagent.mutation.gate import Gate, Known, changed_lines, edit, fingerprint
from pytest_repoagent.mutation.operators import OPERATORS
from pytest_repoagent.mutation.trial import Trial, judge
from pytest_repoagent.sources.mutants import lines_of, mutant, original
from pytest_repoagent.suite_fields import Symptom
from pytest_repoagent.suites import Suite, load_suite
from pytest_repoagent.testrun.base import Reason, TestOutcome, Verdict

BY_NAME = {operator.name: operator for operator in OPERATORS}


def train_programs() -> dict[str, str]:
    suite = load_suite(bundled.suites_dir() / "minibugs_train.json")
    root = bundled.minibugs_dir()
    return {t.name: (root / "correct_python_programs" / f"{t.name}.py").read_text() for t in suite.tasks}


@cache
def every(source: str) -> tuple[Candidate, ...]:
    return tuple(candidates(source))


def made(source: str, operator: str) -> set[str | None]:
    """The new lines that an operator makes, without indentation."""
    return {None if c.new is None else c.new.strip() for c in every(source) if c.operator.name == operator}


@pytest.mark.parametrize(
    ("operator", "line", "expected"),
    [
        ("comparison", "if (a) <= b: pass", {"if (a) < b: pass", "if (a) >= b: pass", "if (a) > b: pass"}),
        ("comparison", "x = a not in [b]", {"x = a in [b]"}),
        ("connective", "x = a and b or c", {"x = a or b or c", "x = a and b and c"}),
        ("missing_condition", "x = (a or b) and not c", {"x = not c", "x = a or b", "x = b and not c"}),
        ("missing_condition", "x = [i for i in a if i if b]", {"x = [i for i in a if i]", "x = [i for i in a if b]"}),
        ("missing_condition", "x = a if b else c", {"x = a", "x = c"}),
        ("assignment_operator", "a  //=  2", {"a  *=  2", "a  %=  2", "a  -=  2", "a  =  2"}),
        ("arithmetic_operator", "x = len(a)  #  -", set()),
        ("arithmetic_operator", "x = a % 2  # %", {"x = a // 2  # %", "x = a - 2  # %"}),
        ("missing_arithmetic", "x = 2 * (a + len(b))", {"x = 2 * a", "x = 2 * len(b)", "x = 2", "x = a + len(b)"}),
        ("off_by_one", "return a[len(b)]", {"return a[len(b) + 1]", "return a[len(b) - 1]"}),
        ("off_by_one", "x = (len(a) - 1) * 7", {"x = len(a) * 7", "x = (len(a) - 1) * 8", "x = (len(a) - 1) * 6"}),
        ("slice", "x = a[b : len(c)]", {"x = a", "x = a[b:]", "x = a[: len(c)]"}),
        ("swap", "x = a[b] - c[a]", {"x = c[a] - a[b]"}),
        ("swap", "x = g(a, (b + 1))", {"x = g((b + 1), a)"}),
        ("swap", "x = max(a, b)", set()),
        ("method", "a.append(b)", {"a.extend(b)"}),
        ("method", "x = min(a, key=b)", {"x = max(a, key=b)"}),
        ("field", "x = a.left.left if b.right else c", {"x = a.left.right if b.right else c"}),
        ("missing_call", 'x = "".join(reversed(a))', {'x = ""', "x = reversed(a)", 'x = "".join(a)'}),
        ("missing_join", "x = [a] + [b]", {"x = [a]", "x = [b]"}),
        ("element", "x = (0, 5)", {"x = (1, 5)", "x = (0, 6)", "x = (0, 4)"}),
        ("constant", 'x = "ab", True', {'x = "b", True', 'x = "a", True', 'x = "ab", False'}),
        ("constant", "x = []", {"x = [[]]"}),
        ("missing_line", "a.clear()", {None}),
    ],
)
def test_what_operators_make(operator: str, line: str, expected: set[str | None]) -> None:
    assert expected <= made(f"def f(a, b, c):\n    {line}\n    return x\n", operator)
    if not expected:
        assert made(f"def f(a, b, c):\n    {line}\n    return x\n", operator) == set()


def test_variables_are_exchanged_for_those_of_a_kind_that_fits() -> None:
    lines = made(
        "def f(names, first, last):\n    print(len(names))\n    return names[first + 1 : last + 1]\n", "variable"
    )
    assert "return names[last + 1 : last + 1]" not in lines
    assert "return names[first + 1 : first + 1]" not in lines
    assert all(line is not None and "names[names" not in line for line in lines)


@pytest.mark.parametrize("operator", BY_NAME)
def test_every_operator_finds_something_in_the_bundled_programs(operator: str) -> None:
    assert any(made(source, operator) for source in train_programs().values())


@pytest.mark.parametrize(("name", "source"), train_programs().items())
def test_a_mutant_differs_in_one_line_and_undoing_that_gives_the_original(name: str, source: str) -> None:
    before = lines_of(source)
    texts = set()
    for candidate in every(source):
        at = candidate.line - 1
        after = lines_of(candidate.text)
        assert after[:at] == before[:at]
        assert after[len(after) - (len(before) - candidate.line) :] == before[candidate.line :]
        assert len(after) == len(before) - (candidate.new is None)
        assert mutant(source, candidate.line, candidate.new) == candidate.text
        if candidate.new is None:
            assert "".join([*after[:at], before[at], *after[at:]]) == source
        else:
            assert mutant(candidate.text, candidate.line, before[at].rstrip("\n")) == source
            assert candidate.new.startswith(before[at][: len(before[at]) - len(before[at].lstrip())])
        compile(candidate.text, name, "exec")
        assert ast.dump(ast.parse(candidate.text)) != ast.dump(ast.parse(source))
        texts.add(candidate.text)
    assert len(texts) == len(every(source)) > 10


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_tabs_line_ends_and_other_alphabets_stay(end: str) -> None:
    lines = ["# \u00e9\u00df", "def f(a,b):", "\tx = {'\u03b1':a [ 0 ]}  # 1", "\tif a<b : return  x", "\treturn  x"]
    source = end.join(lines)
    found = {c.new for c in candidates(source) if c.operator.name in ("comparison", "off_by_one")}
    assert "\tif a<=b : return  x" in found
    assert "\tx = {'\u03b1':a [ 1 ]}  # 1" in found
    assert all(c.text.startswith(f"# \u00e9\u00df{end}def f(a,b):{end}\t") for c in candidates(source))


LINES = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), max_size=8), min_size=2
)


@given(LINES, st.data())
def test_an_edit_is_found_in_what_it_made(lines: list[str], data: st.DataObject) -> None:
    text = "".join(f"{line}\n" for line in lines)
    line = data.draw(st.integers(1, len(lines)))
    new = data.draw(st.sampled_from([None, "", "x", lines[0]]))
    changed = mutant(text, line, new)
    found = line_edit(text, changed)
    if changed == text:
        assert found is None
    else:
        assert found is not None
        assert mutant(text, *found) == changed


@pytest.mark.parametrize(
    "code",
    [
        "x, x",
        "x + 0",
        "x * 1",
        "x - x",
        "a < a",
        "1 == 0",
        "a + 1 is None",
        "a and a",
        "f(a, a)",
        "a[b:b]",
        "a if c else a",
        "x = x",
        "x += 0",
    ],
)
def test_what_nobody_writes(code: str) -> None:
    assert oddities.count(ast.parse(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "x + 1",
        "x * x",
        "a < b",
        "a + 1 < 0",
        "a is None",
        "a or b",
        "f(a, b)",
        "f(1, 1)",
        "a[b:]",
        "x = y",
        "while True: pass",
    ],
)
def test_what_people_write(code: str) -> None:
    assert oddities.count(ast.parse(code)) == 0


def test_the_original_has_the_description_and_not_the_other_solutions() -> None:
    correct = 'def f(a):\n    return a + 1\n"""\ndef f(a):\n    return 1 + a\n"""\n'
    buggy = '"""module"""\ndef f(a):\n    return a\n\n\n"""\nAdds one.\n"""'
    assert original(correct, buggy) == 'def f(a):\n    return a + 1\n\n\n"""\nAdds one.\n"""'
    plain = 'def f(a):\n    """Doc."""\n    return a'
    assert original(plain, plain) == f"{plain}\n"


def test_fingerprints_see_through_names_texts_and_turned_comparisons() -> None:
    one = 'def f(a, b):\n    """Doc."""\n    return len(a) > b\n'
    assert fingerprint(one) == fingerprint("def g(x, y):  # why\n    return y < len(x)\n")
    assert fingerprint(one) != fingerprint("def f(a, b):\n    return sum(a) > b\n")


CORRECT = "def f(a, b):\n    c = a + b\n    if a < b:\n        return c\n    return a - b\n"


def known(new: str, line: int = 3, heldout: bool = False, correct: str = CORRECT) -> Known:
    return Known(correct, mutant(correct, line, new), heldout)


def test_the_gate_refuses_known_programs_under_any_name() -> None:
    gate = Gate([known("    if a <= b:")])
    renamed = (
        CORRECT.replace("def f(a, b)", "def g(p, q)").replace("a", "p").replace("b", "q").replace("p + q", "p + q")
    )
    own = Known(renamed, renamed, heldout=False)
    again = renamed.replace("if p < q:", "if q >= p:  # the same")
    assert gate.refusal(again, 3, own) == "known_program"
    assert gate.refusal(renamed.replace("p < q", "p > q"), 3, own) is None


def test_the_gate_refuses_the_edit_of_a_heldout_task_in_any_program() -> None:
    other = "def g(c, a, b):\n    for c in c:\n        if a  <  b:  # here\n            print(c)\n"
    own = Known(other, other, heldout=False)
    text = other.replace("a  <  b", "a <= b")
    assert Gate([known("    if a <= b:", heldout=True)]).refusal(text, 3, own) == "heldout_edit"
    assert Gate([known("    if a <= b:", heldout=False)]).refusal(text, 3, own) is None
    assert edit(other, text) == (("if a < b:",), ("if a <= b:",))


def test_mutants_of_a_heldout_program_stay_away_from_its_known_bug() -> None:
    own = known("    if a <= b:", heldout=True)
    gate = Gate([own])
    assert changed_lines(own.correct, own.buggy) == {3}
    assert gate.refusal(mutant(CORRECT, 3, "    if a > b:"), 3, own) == "known_site"
    assert gate.refusal(mutant(CORRECT, 5, "    return a + b"), 5, own) is None


@pytest.mark.parametrize(
    ("reason", "details", "passed", "fate", "symptom"),
    [
        ("passed", [], 3, "survives", None),
        ("failed", ["E   assert 1 == 2\nE    + where"], 2, "usable", "wrong_answer"),
        ("failed", ["E   AssertionError: assert 'a' == 'b'"], 2, "usable", "wrong_answer"),
        ("failed", ["E   Failed: DID NOT RAISE <class 'ValueError'>"], 2, "usable", "wrong_answer"),
        ("failed", ["E   IndexError: list index out of range"], 2, "usable", "crash"),
        ("failed", ["E   IndexError: x", "E   assert 1"], 1, "usable", "wrong_answer"),
        ("failed", ["E   IndexError: x", "E   json.JSONDecodeError: x", "E   assert 1"], 0, "usable", "crash"),
        ("failed", ["E   TypeError", "E   TypeError"], 0, "only_crashes", "crash"),
        ("failed", ["E   NameError: name 'x' is not defined"], 2, "unbound_name", "crash"),
        ("timed_out", [], 2, "usable", "timeout"),
        ("timed_out", ["E   UnboundLocalError: x"], 1, "unbound_name", "timeout"),
        ("collection_error", [], 0, "no_import", None),
        ("crashed", [], 1, "spoils_the_run", None),
        ("output_limit", [], 1, "spoils_the_run", None),
        ("timed_out", ["E   MemoryError"], 1, "spoils_the_run", None),
    ],
)
def test_what_a_verdict_says(
    reason: Reason, details: list[str], passed: int, fate: str, symptom: Symptom | None
) -> None:
    trial = judge(verdict(reason, details, passed), 3)
    assert (trial.fate, trial.failing, trial.passing) == (fate, 3 - passed, passed)
    assert symptom in (None, trial.symptom)


def verdict(reason: Reason, details: list[str], passed: int) -> Verdict:
    tests = tuple(TestOutcome(f"t{i}", "failed", detail) for i, detail in enumerate(details))
    tests += tuple(TestOutcome(f"p{i}", "passed") for i in range(passed))
    counts = Counter[str](test.outcome for test in tests)
    return Verdict(reason == "passed", reason, counts, tests, "", 0.1, 0.1, "none")


def test_signatures_tell_behaviour_apart() -> None:
    one = judge(verdict("failed", ["E   assert 1 == 2"], 2), 3)
    assert one == judge(verdict("failed", ["x.py:7: in f\nE   assert 1 == 2"], 2), 3)
    assert one.signature != judge(verdict("failed", ["E   assert 1 == 3"], 2), 3).signature
    late = judge(verdict("timed_out", [], 2), 3)
    assert late.signature != judge(verdict("timed_out", [], 1), 3).signature


def mutants(parent: str, symptom: Symptom, count: int, operator: str = "swap") -> list[Mutant]:
    trials = [Trial("usable", symptom, 1, 1, (f"{symptom} {i}",)) for i in range(count)]
    return [
        Mutant(parent, Candidate(BY_NAME[operator], i + 1, f"{symptom} {operator} {i}", ""), trial)
        for i, trial in enumerate(trials)
    ]


def test_the_choice_has_the_profile_of_real_bugs() -> None:
    symptoms: tuple[Symptom, ...] = ("wrong_answer", "crash", "timeout")
    programs = [[m for s in symptoms for m in mutants(p, s, 50)] for p in ("a/a", "a/b", "a/c")]
    chosen = choose(programs, 50)
    assert Counter(m.trial.symptom for m in chosen) == {"wrong_answer": 105, "crash": 33, "timeout": 12}
    assert max(Counter(m.parent for m in chosen).values()) == 50
    few = choose([mutants("a/a", "wrong_answer", 14), mutants("a/b", "crash", 50)], 50)
    assert Counter(m.trial.symptom for m in few) == {"wrong_answer": 14, "crash": 4}


def test_operators_take_turns() -> None:
    program = mutants("a/a", "wrong_answer", 30) + mutants("a/a", "wrong_answer", 2, "slice")
    chosen = choose([program], 10)
    assert Counter(m.candidate.operator.name for m in chosen) == {"swap": 5, "slice": 2}


def test_mutants_alike_are_one_and_the_seed_orders_them() -> None:
    some = mutants("a/a", "wrong_answer", 10)
    twin = replace(some[0], candidate=replace(some[0].candidate, new="other"))
    far = replace(some[0], candidate=replace(some[0].candidate, line=99))
    bug = Trial("usable", "wrong_answer", 1, 1, some[3].trial.signature)
    kept = unlike([*some, twin, far], {4}, bug, seed=0)
    assert len(kept) == 10
    assert some[3] not in kept
    assert far in kept
    assert kept == unlike([far, twin, *reversed(some)], {4}, bug, seed=0)
    assert kept != unlike([*some, twin, far], {4}, bug, seed=1)


def test_to_run_forever_is_no_likeness() -> None:
    first, second = mutants("a/a", "timeout", 2)
    twin = replace(second, candidate=replace(second.candidate, line=1), trial=first.trial)
    assert len(unlike([first, twin], {1}, first.trial, seed=0)) == 2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of one program and a suite of one mutation of it."""
    suite_kit.write(tmp_path / "bugs", suite_kit.FILES)
    new = "    return n // 2"
    text = mutant(suite_kit.CORRECT, 2, new)
    program = "python_programs/double.py"
    changes: dict[str, Any] = {
        "task_id": f"bugs/double.{suite_kit.sha256(text)[:8]}",
        "mutation": {
            "parent": "bugs/double",
            "operator": "arithmetic_operator",
            "line": 2,
            "new": new,
            "symptom": "wrong_answer",
            "failing": 3,
        },
    }
    task = suite_kit.task(**changes)
    task["files"][program] = suite_kit.sha256(text)
    origin = {"suite": "bugs_train", "sha256": "0" * 64, "seed": 0, "version": "1"}
    suite_kit.write_suite(tmp_path, suite_kit.master([task], name="mutants", split="train", mutated_from=origin))
    return tmp_path


def opened(place: Path) -> tuple[Any, Suite]:
    from pytest_repoagent.sources.base import SourceContext
    from pytest_repoagent.sources.mutants import open_folder

    suite = load_suite(place / "mutants.json")
    return open_folder(place / "bugs", SourceContext(None, suite, place / "cache")), suite


def test_a_mutation_is_served_with_its_line_and_its_fix(place: Path) -> None:
    source, suite = opened(place)
    (task,) = suite.tasks
    files = source.files(task)
    assert set(files.paths) == set(suite_kit.PINNED)
    assert (files.root / "python_programs/double.py").read_text() == "def double(n):\n    return n // 2\n"
    assert (files.root / "conftest.py").read_text() == suite_kit.CONFTEST
    assert not (files.root / "correct_python_programs").exists()
    assert source.fix(task) == {"python_programs/double.py": suite_kit.CORRECT}
    assert opened(place)[0].files(task) == files


def test_other_files_than_the_suite_pins_are_refused(place: Path) -> None:
    source, suite = opened(place)
    cached = source.files(suite.tasks[0]).root / "python_programs/double.py"
    cached.write_text("def double(n):\n    return 2 * n\n")
    with pytest.raises(SourceError, match=r"double\.py is not as bugs/double\..* has it: delete the folder"):
        source.files(suite.tasks[0])
    correct = place / "bugs/correct_python_programs/double.py"
    correct.write_text(suite_kit.CORRECT + "\n# changed\n")
    opened(place)
    correct.write_text("def double(n):\n    return n + n\n")
    with pytest.raises(SourceError, match=r"do not give the program that suite mutants pins .* restore the originals"):
        opened(place)
    correct.write_text("def double(n:\n")
    with pytest.raises(SourceError, match=r"do not give the program that suite mutants pins: restore the originals"):
        opened(place)
    correct.unlink()
    with pytest.raises(SourceError, match=r"double\.py is no file, but suite mutants needs it"):
        opened(place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mutated_from": None}, "has mutated_from, or a task has mutation, and the other is missing"),
        ({"mutation.line": 0}, r"tasks\[0\]\.mutation\.line is wrong"),
        ({"mutation.new": "a\nb"}, r"tasks\[0\]\.mutation\.new is wrong: is not one line"),
        ({"mutation.symptom": "sad"}, r"tasks\[0\]\.mutation\.symptom is wrong"),
        ({"fix": {}}, "expected_files, fix and files must agree on its one program"),
    ],
)
def test_wrong_suites_of_mutations(place: Path, change: dict[str, Any], message: str) -> None:
    path = place / "mutants.json"
    value = json.loads(path.read_text())
    for name, new in change.items():
        outer, _, inner = name.partition(".")
        if name == "mutated_from":
            del value[name]
        elif inner:
            value["tasks"][0][outer][inner] = new
        else:
            value["tasks"][0][outer] = new
    path.write_text(json.dumps(value))
    with pytest.raises(SuiteError, match=message):
        load_suite(path)
