"""Small suites, bug folders and git repositories for tests."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BUGGY = "def double(n):\n    return n + 2\n"
CORRECT = "def double(n):\n    return n * 2\n"
TESTS = """\
import pytest
from load_testdata import load_json_testcases

if pytest.use_correct:
    from correct_python_programs.double import double
else:
    from python_programs.double import double


@pytest.mark.parametrize("args,expected", load_json_testcases("double"))
def test_double(args, expected):
    assert double(*args) == expected


@pytest.mark.skipif(not pytest.run_slow, reason="slow")
def test_slow():
    assert double(10**6) == 2 * 10**6
"""
LOADER = """\
import json
from pathlib import Path


def load_json_testcases(name):
    path = Path(__file__).parent.parent / "json_testcases" / f"{name}.json"
    return [json.loads(line) for line in path.read_text().splitlines()]
"""
CONFTEST = """\
import pytest


def pytest_configure(config):
    pytest.use_correct = pytest.run_slow = False
"""
FILES = {
    "conftest.py": CONFTEST,
    "python_programs/double.py": BUGGY,
    "python_programs/node.py": "class Node: pass\n",
    "correct_python_programs/double.py": CORRECT,
    "python_testcases/load_testdata.py": LOADER,
    "python_testcases/node.py": "class Node: pass\n",
    "python_testcases/test_double.py": TESTS,
    "json_testcases/double.json": "[[2], 4]\n[[3], 6]\n[[5], 10]\n",
}
PINNED = (
    "conftest.py",
    "json_testcases/double.json",
    "python_programs/double.py",
    "python_testcases/load_testdata.py",
    "python_testcases/test_double.py",
)
METADATA = {"difficulty": "easy", "category": "arithmetic", "defect_class": "incorrect operator"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def task(name: str = "double", source: str = "bugs", **changes: Any) -> dict[str, Any]:
    """A task as a suite file has it; for ``double`` with the hashes of ``FILES``."""
    program = f"python_programs/{name}.py"
    fields: dict[str, Any] = {
        "task_id": f"{source}/{name}",
        "family": name,
        "goal": f"Fix {program} so that python_testcases/test_{name}.py passes.",
        "command": ["python", "-m", "pytest", f"python_testcases/test_{name}.py"],
        "files": {path: sha256(FILES[path]) for path in PINNED},
        "editable": ["python_programs/"],
        "expected_files": [program],
        "fix": {program: sha256(CORRECT)},
        "expected_tests": {"passed": 3, "skipped": 1},
        "metadata": METADATA,
    }
    return {**fields, **changes}


def master(tasks: Iterable[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    fields = {"schema": 1, "name": "bugs_master", "source": "bugs", "split": "master", "tasks": list(tasks)}
    return {**fields, **changes}


def write_suite(folder: Path, value: Any) -> Path:
    path = folder / f"{value['name']}.json"
    path.write_text(json.dumps(value))
    return path


def git(root: Path, *arguments: str) -> str:
    """Run git in ``root`` as a fixed author, whatever the machine's settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def commit_all(root: Path) -> str:
    """Commit everything below ``root``, making it a repository first where it is none."""
    if not (root / ".git").exists():
        git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "change")
    return git(root, "rev-parse", "HEAD")
