"""``repair``: a baseline without a language model. It reads the program and tries one small edit after another.

It knows nothing but the conversation: the goal, the program's text, and what the tests say after each write. The
edits and their order are :mod:`pytest_repoagent.models.edits`; it never sees a corrected program and never runs code.
Only one file is edited, the first program that the goal names.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import PurePosixPath

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.models.base import Conversation, Model, ModelContext, RolloutKey
from pytest_repoagent.models.edits.feedback import read
from pytest_repoagent.models.edits.ranking import Search
from pytest_repoagent.models.edits.splice import Edit
from pytest_repoagent.models.plan import Plan, PlannedConversation
from pytest_repoagent.protocol.actions import Action, Final, ToolCall

_MAX_CHARS = 40_000
_MAX_FILES = 2_000
_PATH = re.compile(r"[\w./-]*\w\.py\b")
_TEST_FOLDER = re.compile(r"(.*_)?test(s|ing|cases)?")


def create(name: str, context: ModelContext) -> Model:
    """Build the model.

    Raises:
        ModelConfigError: something follows ``repair:``.
    """
    if name:
        raise ModelConfigError(f"Model 'repair:{name}' is unknown; write --model=repair, which takes no name.")
    return _Repair()


class _Repair:
    def check(self) -> None:
        """Nothing can be missing."""

    def start(self, key: RolloutKey) -> Conversation:
        """Open a conversation; ``key`` is not looked at, so nothing can depend on which task it is."""
        return PlannedConversation(_repair)


def _repair(goal: str) -> Plan:
    path, source = yield from _open(goal)
    if source is None:
        return Final(f"Nothing was changed: {path}.", ())
    try:
        search = Search(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Final(f"Nothing was changed: {path} is no Python ({type(error).__name__}), and I only edit Python.", ())
    tried = 0
    for edit in search:
        result = yield _write(path, edit.content, edit.description)
        if _is_refused(result):
            return Final(f"{path} could not be written: {result}", ())
        tried += 1
        feedback = read(result, path)
        if feedback is None:
            return _final(path, edit, "No test result was shown, so this likeliest edit is a guess")
        if feedback.passed:
            return _final(path, edit, f"The tests pass after edit {tried}")
        search.learn(feedback)
    if tried:
        yield _write(path, source, "none of the edits made the tests pass; back to the original")
    return Final(f"None of {tried} edits of {path} made the tests pass; it is as it was.", ())


def _open(goal: str) -> Generator[Action, str, tuple[str, str | None]]:
    """The program's path and text; with None for the text, the reason stands for the path."""
    named = [path for path in _paths(goal) if not _is_test(path)]
    for path in named[:1]:
        text = yield _read(path)
        if not _is_refused(text):
            return _whole(path, text)
    listing = yield ToolCall("list_files", {"rel_dir": ".", "max_files": _MAX_FILES})
    listed = [line for line in listing.splitlines() if line.endswith(".py") and line not in named[:1]]
    programs = [path for path in listed if not _is_test(path)]
    if not programs:
        return "no program was found", None
    path = max(programs, key=lambda p: _plausibility(p, goal))
    text = yield _read(path)
    return (f"{path} could not be read", None) if _is_refused(text) else _whole(path, text)


def _whole(path: str, text: str) -> tuple[str, str | None]:
    cut = text.rpartition("\n")[2].startswith("[truncated: ")
    return (f"{path} is longer than {_MAX_CHARS} characters", None) if cut else (path, text)


def _paths(goal: str) -> list[str]:
    return list(dict.fromkeys(_PATH.findall(goal)))


def _is_test(path: str) -> bool:
    *folders, name = PurePosixPath(path).parts
    in_tests = any(_TEST_FOLDER.fullmatch(folder) for folder in folders)
    return in_tests or name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


def _plausibility(path: str, goal: str) -> tuple[bool, bool, int]:
    """How likely the goal is about ``path``: a test named for it, its name in the goal, few folders above it."""
    stem = PurePosixPath(path).stem
    tested = [PurePosixPath(p).stem for p in _paths(goal) if _is_test(p)]
    named_for = stem in [t.removeprefix("test_").removesuffix("_test") for t in tested]
    return named_for, re.search(rf"\b{re.escape(stem)}\b", goal) is not None, -path.count("/")


def _is_refused(result: str) -> bool:
    return result.startswith("[error] ")


def _read(path: str) -> ToolCall:
    return ToolCall("read_file", {"rel_path": path, "max_chars": _MAX_CHARS})


def _write(path: str, content: str, thought: str) -> ToolCall:
    return ToolCall("write_file", {"rel_path": path, "content": content, "thought": thought})


def _final(path: str, edit: Edit, how: str) -> Final:
    return Final(f"{how}: {edit.description}.", ({"path": path, "description": edit.description},))
