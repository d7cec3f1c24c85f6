from __future__ import annotations

import pytest

from pytest_repoagent.isolation import describe, summarise


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("full", "full"),
        ("namespaces+landlock", "namespaces+landlock (no seccomp)"),
        ("landlock+seccomp", "landlock+seccomp (no namespaces)"),
        ("limits", "limits (no namespaces, landlock, seccomp)"),
        ("none", "none"),
        ("docker", "docker"),
        ("docker+seccomp", "docker+seccomp"),
    ],
)
def test_a_level_says_what_it_lacks(level: str, words: str) -> None:
    assert describe(level) == words


def kind(sandbox: str, test_runs: int, judge: str = "split", runner: str = "warm") -> dict[str, object]:
    return {"run_id": "r", "runner": runner, "judge": judge, "sandbox": sandbox, "test_runs": test_runs}


def test_a_full_sandbox_is_a_fact_and_no_warning() -> None:
    assert summarise([kind("full", 7)]) == (["runner warm, sandbox full"], [])


def test_a_run_without_test_runs_says_nothing() -> None:
    assert summarise([]) == ([], [])


def test_less_than_full_is_a_warning_that_names_the_remedy() -> None:
    facts, warnings = summarise([kind("limits", 7)])
    assert facts == ["runner warm, sandbox limits"]
    assert warnings == ["sandbox limits (no namespaces, landlock, seccomp): `repoagent doctor` says how to get more"]


def test_no_sandbox_is_said_plainly() -> None:
    facts, warnings = summarise([kind("none", 7, "in_process", "subprocess")])
    assert facts == ["runner subprocess, sandbox none"]
    assert warnings == ["sandbox none: code a model wrote runs with your rights"]


def test_each_level_and_what_was_judged_in_one_process_is_counted() -> None:
    facts, warnings = summarise([kind("full", 5), kind("full", 2, "in_process"), kind("seccomp", 1)])
    assert facts == [
        "runner warm, sandbox full (7 of 8 test runs), seccomp (1 of 8 test runs); "
        "2 of 8 test runs had tests and program in one process"
    ]
    assert warnings == ["sandbox seccomp (no namespaces, landlock): `repoagent doctor` says how to get more"]
