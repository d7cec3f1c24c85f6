"""A project with a small suite of trivial bugs in QuixBugs' layout, for tests that run real pytest sessions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent.store.reader import query

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")

QUICKER = ("-p", "no:hypothesispytest")
"""Else every session imports Hypothesis at its end, which is a third of what a small one takes."""
COMMON = ("-p", "no:cacheprovider", *QUICKER, "--suite=tiny.json", "--quixbugs=bugs")
ITEMS = """
def test_item(rollout):
    assert rollout.success is not False
"""
FINAL = '{"type":"final","summary":"done","changes":[]}'
CONFTEST = f"""
import os, signal, time
from pytest_repoagent.models.base import Reply

FINAL = {FINAL!r}


class Fake:
    # A model that looks for its behaviour in its name: what it does to which task.
    def __init__(self, name):
        self.what, _, self.task = name.partition("@")

    def check(self):
        pass

    def start(self, key):
        self_, key_ = self, key

        class Conversation:
            def reply(self, messages):
                return Reply(self_.act(key_) or FINAL, "stop")

        return Conversation()

    def act(self, key):
        if self.what == "slow":
            time.sleep(float(self.task))
        if not self.task or not key.task_id.endswith("/" + self.task):
            return None
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "refuse":
            from pytest_repoagent.errors import ProviderError
            raise ProviderError("503 six times")
        if self.what == "key":
            from pytest_repoagent.errors import ModelConfigError
            raise ModelConfigError("the key was rejected")
        if self.what == "bug":
            raise ZeroDivisionError("a bug in the model's code")
        return "nonsense"


def pytest_repoagent_models():
    return {{"fake": lambda name, context: Fake(name)}}
"""


def make_project(pytester: pytest.Pytester, names: Sequence[str] = NAMES[:4], items: str = ITEMS) -> Path:
    """Write ``bugs/``, ``tiny.json``, ``conftest.py`` and ``test_items.py`` into the test's folder."""
    root = pytester.path / "bugs"
    files = {"conftest.py": "import pytest\n\n\ndef pytest_configure(config):\n    pytest.use_correct = False\n"}
    tasks = []
    for name in names:
        program, test = f"python_programs/{name}.py", f"python_testcases/test_{name}.py"
        files[program] = f"def {name}(n):\n    return n - 1\n"
        files[f"correct_{program}"] = f"def {name}(n):\n    return n + 1\n"
        files[test] = f"from python_programs.{name} import {name}\n\n\ndef test_{name}():\n    assert {name}(1) == 2\n"
        tasks.append(_task(name, program, test, files))
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    suite = {"schema": 1, "name": "tiny", "source": "quixbugs", "split": "heldout", "tasks": tasks}
    (pytester.path / "tiny.json").write_text(json.dumps(suite))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_items=items)
    return root


def _task(name: str, program: str, test: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "task_id": f"tiny/{name}",
        "family": name,
        "goal": f"Fix the bug in {program} so that {test} passes.",
        "command": ["python", "-m", "pytest", test],
        "files": {path: sha256(files[path]) for path in ("conftest.py", program, test)},
        "editable": ["python_programs/"],
        "expected_files": [program],
        "fix": {program: sha256(files[f"correct_{program}"])},
        "expected_tests": {"passed": 1},
        "metadata": {"difficulty": "easy", "category": "numbers", "defect_class": "incorrect operator"},
    }


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def run(pytester: pytest.Pytester, *args: str, path: str | Path | None = "test_items.py") -> pytest.RunResult:
    """A pytest session of its own process over the project; no path is given where ``path`` is None."""
    return pytester.runpytest_subprocess(*COMMON, *args, *([] if path is None else [path]))


def stored(pytester: pytest.Pytester, sql: str) -> list[tuple[Any, ...]]:
    """Rows from the project's store."""
    return query(pytester.path / ".repoagent/store.duckdb", sql)[1]
