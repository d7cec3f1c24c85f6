"""The candidates: valid, distinct, in place, the same everywhere, and plain defects come early."""

from __future__ import annotations

import ast
import bisect
import heapq
import inspect
import os
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import islice
from types import FunctionType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_repoagent.models.edits import feedback
from pytest_repoagent.models.edits.feedback import Feedback, Symptom
from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.meaning import meaning
from pytest_repoagent.models.edits.program import Program, parse
from pytest_repoagent.models.edits.ranking import OPERATORS, Search
from pytest_repoagent.models.edits.splice import Edit, render

SEARCH = '''\
def search(items, wanted):
    """Position of wanted in sorted items, or -1."""
    low = 0
    high = len(items)  # exclusive
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted: low = middle + 1
        else:
            high = middle
    return -1


"""Said after the code, as some files do: caf\u00e9."""
'''


def first(source: str, count: int = 40) -> list[Edit]:
    return list(islice(Search(source), count))


DEFECTS = {
    "boundary": ("while low <= high:", "while low < high:", SEARCH),
    "off by one": (
        "range(2, limit)",
        "range(2, limit + 1)",
        "def f(limit):\n    return [n for n in range(2, limit) if all(n % p for p in range(2, n))]\n",
    ),
    "swapped operands": ("p % n", "n % p", "def divides(n, p):\n    return p % n == 0\n"),
    "swapped elements": ("(n, x)", "(x, n)", "def f(xs):\n    return [(n, x) for n, x in enumerate(xs)]\n"),
    "unused parameter": (
        "abs(v)",
        "abs(v - centre)",
        "def spread(vs, centre):\n    t = 0\n    for v in vs:\n        t += abs(v)\n    return t\n",
    ),
    "container that never grows": (
        "            out.append(x)\n",
        "            seen.add(x)\n            out.append(x)\n",
        "def unique(xs):\n    seen = set()\n    out = []\n    for x in xs:\n        if x not in seen:\n"
        "            out.append(x)\n    return out\n",
    ),
    "recursion without progress": (
        "walk(node, visit)\n\n",
        "walk(child, visit)\n\n",
        "def walk(node, visit):\n    visit(node)\n    for child in node.children:\n        walk(node, visit)\n\n",
    ),
    "equal operands": (
        "go(k - 1) + go(k - 1)",
        "go(k - 1) + go(k - 2)",
        "def go(k):\n    return k if k < 2 else go(k - 1) + go(k - 1)\n",
    ),
    "no base case": (
        "    return 1 +",
        "    if tree is None:\n        return 0\n    return 1 +",
        "def depth(tree):\n    return 1 + max(depth(tree.left), depth(tree.right))\n",
    ),
    "endless loop": (
        "while True:",
        "while todo:",
        "def reach(graph, todo):\n    seen = set()\n    while True:\n        node = todo.pop()\n"
        "        if node not in seen:\n            seen.add(node)\n            todo.extend(graph[node])\n"
        "    return seen\n",
    ),
    "field of nothing": (
        "if pair.left.value == 0:",
        "if pair.left is not None and pair.left.value == 0:",
        "def f(pair):\n    if pair.left.value == 0:\n        return pair.right\n    return pair\n",
    ),
    "wrong assignment": (
        "total -= x",
        "total += x",
        "def s(xs):\n    total = 0\n    for x in xs:\n        total -= x\n    return total\n",
    ),
    "slice": ("items[i:]", "items[i + 1:]", "def rest(items, i):\n    return items[:i] + items[i:]\n"),
    "result never given": (
        "    best = max(xs)\n",
        "    best = max(xs)\n    return best\n",
        "def f(xs):\n    if not xs:\n        return None\n    best = max(xs)\n",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_plain_defect_is_mended_early(name: str) -> None:
    bug, fix, source = DEFECTS[name]
    assert source.count(bug) == 1
    kinds = Program(source).kinds
    wanted = meaning((parse(source.replace(bug, fix)),), kinds)
    assert any(meaning((parse(edit.content),), kinds) == wanted for edit in first(source))


def test_candidates_compile_and_differ_from_the_program_and_from_each_other() -> None:
    edits = first(SEARCH, 10_000)
    trees = [ast.dump(ast.parse(edit.content)) for edit in edits]
    assert len(edits) > 300
    assert len(set(trees)) == len(trees)
    assert ast.dump(ast.parse(SEARCH)) not in trees
    for edit in edits:
        compile(edit.content, "candidate", "exec")


def test_no_candidate_says_the_same_as_another_in_other_words() -> None:
    descriptions = [edit.description for edit in first("def f(a, b):\n    return a < b\n", 500)]
    assert "line 2: `a < b` becomes `a >= b`" in descriptions
    assert "line 2: `a < b` becomes `not a < b`" not in descriptions
    assert "line 2: `a < b` becomes `b > a`" not in descriptions


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that differ, without the common head and tail."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    while old and new and old[0] == new[0]:
        old.pop(0), new.pop(0)
    while old and new and old[-1] == new[-1]:
        old.pop(), new.pop()
    return old, new


def test_only_the_edited_statement_changes() -> None:
    source = SEARCH.replace("    return -1\n", "    return (-1,  # two\n            low)  # lines\n")
    for edit in first(source, 10_000):
        old, new = changed_lines(source, edit.content)
        moved = "moves" in edit.description
        assert len(old) <= (4 if moved else 2), edit
        assert len(new) <= 4, edit
        assert '"""Said after the code, as some files do: caf\u00e9."""\n' in edit.content


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(x):\r\n    y = x + 1  # caf\u00e9\r\n    return y\r\n", "    y = x + 1  # caf\u00e9\r\n"),
        ("def f(x):\n\ty = x + 1\n\treturn y\n", "\ty = x + 1\n"),
        ("import functools\n\n@functools.cache\ndef f(x, y):\n    return f(x, y - 1)\n", "@functools.cache\n"),
        ("def f(x):\n    if x: return x + 1\n    return 0", "    return 0"),
        ("def f(x): a = x; return a + 1\n", ""),
        ("def f(xs):\n    return [\u00e9 for \u00e9 in xs\n            if \u00e9 > 1]  # caf\u00e9\n", ""),
        ("async def f(xs):\n    async for x in xs:\n        yield x + 1\n", ""),
        ("class A:\n    n = 0\n\n    def f(self, k):\n        self.n = k - 1\n        return self\n", "    n = 0\n"),
    ],
)
def test_any_layout_is_kept(source: str, line: str) -> None:
    edits = first(source, 10_000)
    assert len(edits) > 5
    for edit in edits:
        compile(edit.content, "candidate", "exec")
        if "\r\n" in source:
            assert edit.content.count("\n") == edit.content.count("\r\n")
        if "\t" in source:
            assert "\n " not in edit.content
    assert any(line in edit.content for edit in edits)


def test_the_end_of_a_file_without_newline_takes_a_statement() -> None:
    source = "def f(xs):\n    if not xs:\n        return 0\n    best = max(xs)"
    assert any(edit.content == source + "\n    return best\n" for edit in first(source))


def test_an_emptied_block_holds_pass() -> None:
    contents = [edit.content for edit in first("def f(xs, x):\n    if x:\n        xs.append(x)\n    return xs\n", 500)]
    assert "def f(xs, x):\n    if x:\n        pass\n    return xs\n" in contents


def test_a_move_takes_the_statement_away_where_it_was() -> None:
    source = "def f(xs):\n    t = 0\n    for x in xs:\n        t += x\n        t //= 2\n    return t\n"
    contents = [edit.content for edit in first(source, 2_000)]
    assert "def f(xs):\n    t = 0\n    for x in xs:\n        t += x\n    t //= 2\n    return t\n" in contents
    assert "def f(xs):\n    t = 0\n    for x in xs:\n        t += x\n        t //= 2\n        return t\n" in contents


def functions() -> list[FunctionType]:
    modules = (bisect, heapq, statistics, textwrap, inspect, ast)
    found = [f for m in modules for _, f in inspect.getmembers(m, inspect.isfunction) if f.__module__ == m.__name__]
    return [f for f in found if len(inspect.getsource(f)) < 1_500]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(functions()), st.booleans())
def test_real_code_never_raises(function: Callable[..., object], dos: bool) -> None:
    source = textwrap.dedent(inspect.getsource(function))
    if dos:
        source = source.replace("\n", "\r\n")
    edits = first(source, 25)
    trees = {ast.dump(ast.parse(edit.content)) for edit in edits}
    assert len(trees) == len(edits)


def test_nearly_every_change_can_be_spliced() -> None:
    program = Program(SEARCH)
    changes = [change for operator in OPERATORS for change in operator(program)]
    failed = [c for c in changes if render(program, c) is None]
    assert len(failed) < len(changes) / 20


def test_every_operator_has_something_to_do() -> None:
    source = (
        SEARCH + "\ndef g(a, b, node):\n    for x in a:\n        if x and not b or node.left.right is None:\n"
        "            break\n"
        "        a.append(x)\n        b.first = node.second\n    while True:\n        if a[x] == 1:\n"
        "            continue\n        return True\n"
        "    return [x, *g(a[x - 1], b, node.left)] + a[1:], a[x][b], True, x ** 2\n"
        "\ndef h(a):\n    best = 0\n    if a:\n        return best\n    t = {}\n"
    )
    program = Program(source)
    idle = [operator.__name__ for operator in OPERATORS if not any(True for _ in operator(program))]
    assert idle == []


def test_no_operator_changes_the_program() -> None:
    program = Program(SEARCH)
    for operator in OPERATORS:
        for change in operator(program):
            render(program, change)
    assert ast.dump(program.tree) == program.dump


@pytest.mark.parametrize("source", ["def f(:\n", "x = (\n", "\ufeff\0", "if True:\nprint()\n"])
def test_what_is_no_python_is_refused(source: str) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        Search(source)


@pytest.mark.parametrize("source", ["", "\n", '"""Only words."""\n', "import os\n"])
def test_a_file_without_code_has_no_candidates(source: str) -> None:
    assert first(source) == []


def test_the_main_guard_imports_and_docstrings_are_left_alone() -> None:
    source = (
        'import os\n"""Words."""\n\n\ndef f(x):\n    return x + 1\n\n\nif __name__ == "__main__":\n    print(f(1))\n'
    )
    for edit in first(source, 500):
        assert edit.content.startswith('import os\n"""Words."""\n')
        assert edit.content.endswith('if __name__ == "__main__":\n    print(f(1))\n')


def test_the_order_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib, sys\nfrom itertools import islice\n"
        "from pytest_repoagent.models.edits.ranking import Search\n"
        "text = ''.join(e.content for e in islice(Search(sys.stdin.read()), 80))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=SEARCH.encode(),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1


def test_an_edit_that_mends_some_tests_points_at_its_line() -> None:
    def after(failing: int) -> int:
        """How many of the next edits are on the line that the third one touched."""
        search = Search(SEARCH)
        failed = Feedback(False, 6, frozenset(), frozenset())
        for _ in range(2):
            next(search)
            search.learn(failed)
        line = next(search).line
        search.learn(Feedback(False, failing, frozenset(), frozenset()))
        return sum(edit.line == line for edit in islice(search, 15))

    assert after(1) > after(6) >= after(7)


def test_a_crash_that_is_typical_of_positions_brings_edits_of_positions_forward() -> None:
    def positions(symptoms: frozenset[Symptom]) -> int:
        search = Search(SEARCH)
        next(search)
        search.learn(Feedback(False, 3, symptoms, frozenset()))
        return sum(edit.group in ("off_by_one", "slice", "comparison") for edit in islice(search, 20))

    assert positions(frozenset({Symptom.POSITION})) > positions(frozenset())


REPORT = """\
[tool_result]
Wrote lib/gcd.py (90 chars).
[TESTS FAIL] 5 failed, 1 error, 1 passed
FAILED tests/test_gcd.py::test_gcd[1-2]
tests/test_gcd.py:15: in test_gcd
    assert gcd(*data) == expected
lib/gcd.py:5: in gcd
    return gcd(a % b, b)
other_lib/gcd.py:77: in gcd
E   RecursionError: maximum recursion depth exceeded
Also failing: test_gcd[2-1]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REPORT, Feedback(False, 6, frozenset({Symptom.RECURSION}), frozenset({5}))),
        ("[TESTS PASS] 6 passed", Feedback(True, None, frozenset(), frozenset())),
        (
            "[TESTS FAIL] timed out after 5 s in test_a (so far: 2 failed, 1 passed)",
            Feedback(False, None, frozenset({Symptom.TIMEOUT}), frozenset()),
        ),
        (
            "[TESTS FAIL] 1 failed\nE   assert 'timed out' == '3 failed'",
            Feedback(False, 1, frozenset(), frozenset()),
        ),
        (
            "[TESTS FAIL] 1 failed\nE   zlib.error: no\nE   builtins.IndexError: list index out of range",
            Feedback(False, 1, frozenset({Symptom.POSITION}), frozenset()),
        ),
        ("[tool_result]\nWrote lib/gcd.py (90 chars).", None),
        ("[error] too_large: no [TESTS PASS] here", None),
    ],
)
def test_reports_are_read(text: str, expected: Feedback | None) -> None:
    assert feedback.read(text, "lib/gcd.py") == expected


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    feedback.read(f"[TESTS FAIL] {text}", text)


def test_kinds_are_told_from_use() -> None:
    kinds = Program(
        "def f(xs, n, key):\n    seen = set()\n    for i, x in enumerate(xs):\n        seen.add(key(x))\n"
        "    text = ', '.join(xs)\n    table = {}\n    return xs[n - 1:], text, table, i\n"
    ).kinds
    assert kinds.name("seen") == Kind.SET
    assert kinds.name("i") == kinds.name("n") == Kind.NUMBER
    assert kinds.name("key") == Kind.FUNCTION
    assert kinds.name("text") == Kind.TEXT
    assert kinds.name("table") == Kind.MAP
    assert kinds.name("x") == Kind.UNKNOWN
    assert kinds.of(ast.parse("len(xs) + 1", mode="eval").body) == Kind.NUMBER
    assert kinds.compatibility(Kind.SET, Kind.NUMBER) < kinds.compatibility(Kind.UNKNOWN, Kind.NUMBER) < 1


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("x > y", "y < x", True),
        ("not x > y", "x <= y", True),
        ("x == y", "y == x", True),
        ("n + 1", "1 + n", True),
        ("n + 1 - 1", "n", True),
        ("text + x", "x + text", False),
        ("x < y", "x <= y", False),
        ("x - y", "y - x", False),
        ("not x", "x", False),
        ("p and q", "q and p", True),
    ],
)
def test_equal_meanings_are_spelled_alike(a: str, b: str, equal: bool) -> None:
    kinds = Program("n = 1\ntext = ''\n").kinds
    left, right = (meaning((ast.parse(code, mode="eval").body,), kinds) for code in (a, b))
    assert (left == right) is equal


def test_names_in_scope() -> None:
    program = Program(
        "limit = 1\n\ndef f(a):\n    b = a\n    for c in a:\n        print(e for e in c)\n        d = c\n"
        "    late = d\n    return d\n"
    )
    call = next(node for node in program.of(ast.Call))
    element = next(node for node in program.of(ast.GeneratorExp)).elt
    assert set(program.variables(call)) == {"a", "b", "c", "d", "limit"}
    assert set(program.variables(element)) == {"a", "b", "c", "d", "e", "limit"}
