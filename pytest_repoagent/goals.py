"""Other words for a task's goal, so that a model is not trained on one phrase."""

from __future__ import annotations

import hashlib

from pytest_repoagent.errors import UsageError
from pytest_repoagent.suites import Task

TEMPLATES: tuple[str, ...] = (
    "The tests in {tests} fail because of a bug in {program}. Repair it so that all of them pass.",
    "There is a bug in {program}. Find it and fix it; {tests} must pass afterwards.",
    "Make {tests} pass by correcting {program}. Leave the tests themselves alone.",
    "Please debug {program}: it does not do what {tests} asks of it.",
    "{program} gives wrong answers. Change it as little as needed to satisfy {tests}.",
    "Running {tests} shows failures. The cause is in {program}; correct it.",
    "Someone broke {program}. Bring it back to what {tests} expects.",
    "Your job is a small repair in {program}, checked by the tests in {tests}.",
    "Read {tests} to see what is wanted, then mend {program} until every test there passes.",
    "Correct the defect in {program} that {tests} reveals, and do not edit anything else.",
)
"""What a paraphrase is made from; each names the program's files and the tests."""


def default_goal(program: str, tests: str) -> str:
    """The goal of a task that has one program and one test file."""
    return f"Fix the bug in {program} so that every test in {tests} passes. Do not change the tests."


def paraphrase(task: Task, n: int, seed: int) -> str:
    """The task's goal in other words, drawn from the first ``n`` templates by ``seed`` and the task's id.

    Args:
        task: whose goal.
        n: how many paraphrases to draw from; 0 gives the goal itself.
        seed: the rollout's seed.

    Raises:
        UsageError: there are not ``n`` paraphrases.
    """
    if not 0 <= n <= len(TEMPLATES):
        raise UsageError(f"{n} goal paraphrases are asked for, but there are 0 to {len(TEMPLATES)}")
    if n == 0:
        return task.goal
    digest = hashlib.sha256(f"{seed}:{task.task_id}".encode()).digest()
    template = TEMPLATES[int.from_bytes(digest) % n]
    return template.format(program=" and ".join(task.expected_files), tests=_tests(task))


def _tests(task: Task) -> str:
    paths = (arg.partition("::")[0] for arg in task.command if not arg.startswith("-"))
    named = dict.fromkeys(path for path in paths if path.endswith((".py", "/")))
    return " and ".join(named) or f"`{' '.join(task.command)}`"
