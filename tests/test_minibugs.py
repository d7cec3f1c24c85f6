"""The bundled bugs keep their promises, as far as that shows without running them."""

from __future__ import annotations

import ast
import json
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from pytest_repoagent.bundled import minibugs_dir
from pytest_repoagent.sources.build import CatalogueEntry

ROOT = minibugs_dir()
CATALOGUE = json.loads((ROOT / "catalogue.json").read_text(encoding="utf-8"))
DEFECT_CLASSES = {
    "incorrect array slice",
    "incorrect assignment operator",
    "incorrect comparison operator",
    "incorrect data-structure constant",
    "incorrect field dereference",
    "incorrect method called",
    "incorrect variable",
    "missing arithmetic expression",
    "missing condition",
    "missing function call",
    "missing line",
    "missing/added +1",
    "variable prepend",
    "variable swap",
}
QUIXBUGS = """
    bitcount breadth_first_search bucketsort depth_first_search detect_cycle find_first_in_sorted find_in_sorted
    flatten gcd get_factors hanoi is_valid_parenthesization kheapsort knapsack kth lcs_length levenshtein lis
    longest_common_subsequence max_sublist_sum mergesort minimum_spanning_tree next_palindrome next_permutation pascal
    possible_change powerset quicksort reverse_linked_list rpn_eval shortest_path_length shortest_path_lengths
    shortest_paths shunting_yard sieve sqrt subsequences to_base topological_ordering wrap
"""


def program(folder: str, name: str) -> str:
    return (ROOT / folder / f"{name}.py").read_text(encoding="utf-8")


def function_of(source: str, name: str) -> ast.FunctionDef:
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1
    return found[0]


class _Normalise(ast.NodeTransformer):
    """Takes out docstrings and what the author chose to call things."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = "_"
        if ast.get_docstring(node) is not None:
            del node.body[0]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = "_"
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = "_"
        return node


def normalised(source: str) -> str:
    return ast.dump(_Normalise().visit(ast.parse(source)))


def test_there_are_enough_programs_and_none_is_from_quixbugs() -> None:
    assert len(CATALOGUE) >= 30
    assert len(QUIXBUGS.split()) == 40
    assert not CATALOGUE.keys() & set(QUIXBUGS.split())


def test_the_catalogue_names_every_file_and_nothing_else() -> None:
    for folder, pattern in [
        ("python_programs", "*.py"),
        ("correct_python_programs", "*.py"),
        ("python_testcases", "test_*.py"),
    ]:
        assert {path.stem.removeprefix("test_") for path in (ROOT / folder).glob(pattern)} == CATALOGUE.keys()
    assert {path.stem for path in (ROOT / "json_testcases").iterdir()} <= CATALOGUE.keys()


def test_some_families_have_kin() -> None:
    sizes = Counter(entry["family"] for entry in CATALOGUE.values())
    assert sum(size > 1 for size in sizes.values()) >= 3
    assert max(sizes.values()) <= 3


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_catalogue_entry_is_complete(name: str) -> None:
    entry = CatalogueEntry.model_validate(CATALOGUE[name])
    assert entry.family is not None
    assert entry.defect_class in DEFECT_CLASSES


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_bug_is_one_line_of_a_function(name: str) -> None:
    buggy, correct = program("python_programs", name), program("correct_python_programs", name)
    lines = buggy.splitlines(), correct.splitlines()
    changes = [change for change in SequenceMatcher(None, *lines, autojunk=False).get_opcodes() if change[0] != "equal"]
    assert len(changes) == 1
    _, buggy_start, buggy_end, start, end = changes[0]
    assert max(buggy_end - buggy_start, end - start) == 1
    functions = [node for node in ast.parse(correct).body if isinstance(node, ast.FunctionDef)]
    assert any(node.lineno <= start < (node.end_lineno or 0) for node in functions)
    assert ast.dump(function_of(buggy, name)) != ast.dump(function_of(correct, name))


@pytest.mark.parametrize("name", CATALOGUE)
def test_both_versions_say_the_same_about_themselves(name: str) -> None:
    correct = ast.get_docstring(function_of(program("correct_python_programs", name), name))
    assert correct
    assert ">>> " in correct
    assert ast.get_docstring(function_of(program("python_programs", name), name)) == correct


@pytest.mark.parametrize("path", sorted((ROOT / "json_testcases").iterdir()), ids=lambda path: path.stem)
def test_every_line_of_json_holds_arguments_and_a_result(path: Path) -> None:
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(cases) >= 6
    for arguments, _ in cases:
        assert isinstance(arguments, list)
    assert f'load_cases("{path.stem}")' in program("python_testcases", f"test_{path.stem}")


def test_no_two_programs_are_the_same_but_for_names() -> None:
    for folder in ("python_programs", "correct_python_programs"):
        assert len({normalised(program(folder, name)) for name in CATALOGUE}) == len(CATALOGUE)
