"""Both versions of every QuixBugs program through the reference runner; slow, so give pytest ``-n``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_repoagent.testrun.base import Job, Limits, Verdict
from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

PASSED = {
    **{"bitcount": 9, "breadth_first_search": 5, "bucketsort": 7, "depth_first_search": 5, "detect_cycle": 6},
    **{"find_first_in_sorted": 7, "find_in_sorted": 7, "flatten": 7, "gcd": 6, "get_factors": 11, "hanoi": 8},
    **{"is_valid_parenthesization": 3, "kheapsort": 4, "knapsack": 9, "kth": 7, "lcs_length": 9, "levenshtein": 6},
    **{"lis": 12, "longest_common_subsequence": 10, "max_sublist_sum": 6, "mergesort": 14},
    **{"minimum_spanning_tree": 3, "next_palindrome": 5, "next_permutation": 8, "pascal": 5, "possible_change": 10},
    **{"powerset": 5, "quicksort": 13, "reverse_linked_list": 3, "rpn_eval": 6, "shortest_path_length": 4},
    **{"shortest_path_lengths": 4, "shortest_paths": 3, "shunting_yard": 6, "sieve": 6, "sqrt": 7},
    **{"subsequences": 12, "to_base": 10, "topological_ordering": 3, "wrap": 5},
}
SKIPPED = {"knapsack": 1, "levenshtein": 1}
ENDLESS = {"bitcount", "find_first_in_sorted", "sqrt"}

pytestmark = pytest.mark.skipif("QUIXBUGS_ROOT" not in os.environ, reason="QUIXBUGS_ROOT names no QuixBugs checkout")


def run(name: str, folder: str) -> Verdict:
    root = Path(os.environ["QUIXBUGS_ROOT"])
    test = f"python_testcases/test_{name}.py"
    support = [
        "conftest.py",
        "python_testcases/load_testdata.py",
        "python_testcases/node.py",
        "python_programs/node.py",
    ]
    data = [path for path in [f"json_testcases/{name}.json"] if (root / path).exists()]
    program = f"python_programs/{name}.py"
    return SubprocessRunner().run(
        Job(
            root=root,
            paths=(program, test, *support, *data),
            candidate={program: (root / folder / f"{name}.py").read_text()},
            command=("python", "-m", "pytest", "-q", test),
            expected_passed=PASSED[name],
            expected_skipped=SKIPPED.get(name, 0),
            limits=Limits(cpu_s=3 if name in ENDLESS else 15),
        )
    )


@pytest.mark.parametrize("name", PASSED)
def test_the_corrected_program_passes(name: str) -> None:
    verdict = run(name, "correct_python_programs")
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("name", PASSED)
def test_the_buggy_program_fails(name: str) -> None:
    verdict = run(name, "python_programs")
    assert verdict.reason == ("timed_out" if name in ENDLESS else "failed"), verdict.text
    assert not verdict.passed
