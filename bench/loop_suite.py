"""Tasks for a small model: one function with a wrong operator in it, in files under names that no other task has.

A pytest plugin too (``-p loop_suite``): it serves the suites that it wrote, and the teacher ``swaps``.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import random
import re
from collections.abc import Mapping
from pathlib import Path
from pydoc_data.topics import topics
from typing import Literal

from pytest_repoagent import bundled
from pytest_repoagent.goals import default_goal
from pytest_repoagent.models.base import Conversation, ModelFactory, RolloutKey
from pytest_repoagent.models.plan import Plan, PlannedConversation
from pytest_repoagent.protocol.actions import Final, ToolCall
from pytest_repoagent.sources import SourceFactory
from pytest_repoagent.sources.bug_folder import BugFolder, correct_path
from pytest_repoagent.suites import ExpectedTests, MasterFile, Metadata, Task, dump_suite

WORDS = sorted(set(re.findall(r"\b(?!test)[a-z]{3,9}\b", " ".join(topics.values()))) - {*keyword.kwlist, "solve"})
"""English words: those of Python's own help. The first ``HELD_OUT`` of a fixed order are for held-out tasks alone."""
random.Random(1).shuffle(WORDS)
HELD_OUT = 400
OPERATORS = ("+", "-", "*", "//", "%", "<", "<=", ">", ">=", "==", "!=")
CASES = 3
PATHS = ("python_programs/{}.py", "python_testcases/test_{}.py", "json_testcases/{}.json")
COMMON = ("conftest.py", "python_testcases/load_testdata.py")
_WRONG = re.compile(r" (\S+)(?= \w+\n)")
_TESTS = """import pytest
from load_testdata import load_cases

if pytest.use_correct:
    from correct_python_programs.{name} import solve
else:
    from python_programs.{name} import solve


@pytest.mark.parametrize(("arguments", "expected"), load_cases("{name}"))
def test_solve(arguments, expected):
    assert solve(*arguments) == expected
"""


def pytest_repoagent_sources() -> Mapping[str, SourceFactory]:
    """The source ``small``: files that lie beside their suite."""
    return {"small": lambda context: BugFolder(context.suite.path.parent, context.suite)}


def pytest_repoagent_models() -> Mapping[str, ModelFactory]:
    """The teacher ``swaps``."""
    return {"swaps": lambda name, context: _Swaps()}


class _Swaps:
    """Puts one operator after another in the wrong one's place, until the tests pass."""

    def check(self) -> None:
        """Nothing can be missing."""

    def start(self, key: RolloutKey) -> Conversation:
        return PlannedConversation(lambda goal: _swaps(goal, random.Random(f"{key.task_id} {key.index}")))


def _swaps(goal: str, draw: random.Random) -> Plan:
    path = re.findall(r"python_programs/\w+\.py", goal)[0]
    yield ToolCall("list_files", {"rel_dir": ".", "max_files": 200})
    source = yield ToolCall("read_file", {"rel_path": path, "max_chars": 40_000})
    wrong = _WRONG.findall(source)[-1]
    for other in draw.sample(OPERATORS, len(OPERATORS)):
        if other != wrong:
            result = yield ToolCall("write_file", {"rel_path": path, "content": _WRONG.sub(f" {other}", source)})
            if "[TESTS PASS]" in result:
                return Final("The tests pass.", ({"path": path, "description": "another operator"},))
    return Final("No operator is right.", ({"path": path, "description": "another operator"},))


def write(folder: Path, split: Literal["train", "heldout"], size: int, skip: int = 0) -> Path:
    """Write a suite of ``size`` tasks; returns its file.

    Held-out tasks are in words that no training task has. Tasks that were skipped have other names.
    """
    draw = random.Random(f"{split} {skip}")
    words = WORDS[:HELD_OUT] if split == "heldout" else WORDS[HELD_OUT:]
    tasks = tuple(
        _task(name, draw.sample([word for word in words if word != name], 2), folder, draw)
        for name in words[skip : skip + size]
    )
    suite = folder / f"{folder.name}.json"
    dump_suite(MasterFile(schema=1, name=suite.stem, source="small", split=split, tasks=tasks), suite)
    return suite


def _task(name: str, arguments: list[str], folder: Path, draw: random.Random) -> Task:
    program, tests, data = (path.format(name) for path in PATHS)
    texts = {path: (bundled.minibugs_dir() / path).read_text() for path in COMMON}
    correct, texts[program], texts[data] = _bug(arguments, draw)
    texts[tests] = _TESTS.format(name=name)
    for path, text in (*texts.items(), (correct_path(program), correct)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Task(
        task_id=f"small/{name}",
        family=name,
        goal=default_goal(program, tests),
        command=("python", "-m", "pytest", tests),
        files={path: _sha256(text) for path, text in texts.items()},
        editable=("python_programs/",),
        expected_files=(program,),
        fix={program: _sha256(correct)},
        expected_tests=ExpectedTests(passed=CASES),
        metadata=Metadata(difficulty="easy", category="numbers", defect_class="wrong operator"),
    )


def _bug(arguments: list[str], draw: random.Random) -> tuple[str, str, str]:
    """A correct program, a buggy one, and test cases of which most tell them apart."""
    first, second = arguments
    while True:
        left = draw.choice((first, f"{first} {draw.choice(OPERATORS[:5])} {draw.randint(1, 9)}"))
        right, wrong = draw.sample(OPERATORS, 2)
        programs = [
            f"def solve({first}, {second}):\n    return ({left}) {operator} {second}\n" for operator in (right, wrong)
        ]
        inputs = [[draw.randint(1, 20), draw.randint(1, 20)] for _ in range(CASES)]
        expected, got = ([_call(program, values) for values in inputs] for program in programs)
        if sum(one != other for one, other in zip(expected, got, strict=True)) >= 2:
            cases = (json.dumps([values, value]) for values, value in zip(inputs, expected, strict=True))
            return programs[0], programs[1], "".join(f"{case}\n" for case in cases)


def _call(program: str, values: list[int]) -> object:
    names: dict[str, object] = {}
    exec(program, names)
    return names["solve"](*values)  # type: ignore[operator]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
