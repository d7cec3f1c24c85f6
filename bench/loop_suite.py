"""The training tasks of minibugs under other names, which a student does not know by heart.

A pytest plugin too (``-p loop_suite``): it serves what it wrote.
"""

from __future__ import annotations

import hashlib
import keyword
import random
import re
from collections.abc import Mapping
from pathlib import Path
from pydoc_data.topics import topics

from pytest_repoagent import bundled
from pytest_repoagent.goals import default_goal
from pytest_repoagent.sources import SourceFactory
from pytest_repoagent.sources.bug_folder import BugFolder, correct_path
from pytest_repoagent.suites import MasterFile, Task, dump_suite, load_suite

WORDS = sorted(set(re.findall(r"\b(?!test)[a-z]{3,9}\b", " ".join(topics.values()))) - set(keyword.kwlist))
"""English words: those of Python's own help."""


def pytest_repoagent_sources() -> Mapping[str, SourceFactory]:
    """The source ``renamed``: files that lie beside their suite."""
    return {"renamed": lambda context: BugFolder(context.suite.path.parent, context.suite)}


def write(folder: Path, times: int, seed: int) -> Path:
    """Write every training task ``times`` times, each time under another name; returns the suite's file."""
    tasks = load_suite(bundled.suites_dir() / "minibugs_train.json").tasks
    words = random.Random(seed).sample(WORDS, 2 * times * len(tasks))
    names = ("_".join(pair) for pair in zip(words[::2], words[1::2], strict=True))
    renamed = tuple(_renamed(task, next(names), folder) for task in tasks for _ in range(times))
    suite = folder / f"{folder.name}.json"
    dump_suite(MasterFile(schema=1, name=suite.stem, source="renamed", split="train", tasks=renamed), suite)
    return suite


def _renamed(task: Task, name: str, folder: Path) -> Task:
    def other(text: str) -> str:
        return text.replace(task.name, name)

    hashes: dict[str, str] = {}
    for path in (*task.files, *map(correct_path, task.fix)):
        text = other((bundled.minibugs_dir() / path).read_text())
        target = folder / other(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        hashes[path] = hashlib.sha256(text.encode()).hexdigest()
    command, programs = tuple(map(other, task.command)), tuple(map(other, task.expected_files))
    return task.model_copy(
        update={
            "task_id": f"renamed/{name}",
            "goal": default_goal(programs[0], command[-1]),
            "command": command,
            "files": {other(path): hashes[path] for path in task.files},
            "expected_files": programs,
            "fix": {other(path): hashes[correct_path(path)] for path in task.fix},
        }
    )
