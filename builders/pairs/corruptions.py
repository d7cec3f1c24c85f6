"""Spoil a good action in one known way, as a given model does: the rejected side of a ``corruption`` pair.

Codes of the parser are spoiled by :mod:`pytest_repoagent.protocol.spoil`, the parser's inverse. The others leave a
valid action that is wrong here: a path that is not there, a call made before, a write of half a file. They are the
harder negatives, because nothing but the state tells them from the good action.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from random import Random

from builders.history import History, spelled
from pytest_repoagent.conduct import content_flags
from pytest_repoagent.protocol.actions import Action, Final, ToolCall, canonical
from pytest_repoagent.protocol.codes import PARSE_CODES
from pytest_repoagent.protocol.spoil import spoil

Mix = Mapping[str, int]
"""Code -> how often a model makes that mistake; what matters are the proportions."""

_WINDOWS = {"read_file": "max_chars", "list_files": "max_files", "grep": "max_hits"}
_PATHS = {"read_file": "rel_path", "write_file": "rel_path", "list_files": "rel_dir", "grep": "rel_dir"}


def corrupt(action: Action, history: History, code: str, rng: Random) -> str | None:
    """A reply that means ``action`` and has the fault ``code`` at this state; None where it cannot be had.

    Args:
        action: the good action.
        history: what the state's prompt shows.
        code: one of ``CORRUPTIONS``.
        rng: chooses among the ways to make that mistake.
    """
    if code in PARSE_CODES:
        return spoil(action, code, rng)
    wrong = _VALID[code](action, history, rng)
    return None if wrong is None or wrong == action else canonical(wrong)


def draw(action: Action, history: History, mix: Mix, rng: Random) -> tuple[str, str] | None:
    """A code by its share of the mix among those that this action and state allow, and the spoiled reply."""
    left = {code: share for code, share in mix.items() if code in CORRUPTIONS}
    while left:
        (code,) = rng.choices(list(left), list(left.values()))
        text = corrupt(action, history, code, rng)
        if text is not None:
            return code, text
        del left[code]
    return None


def _with(call: ToolCall, **args: str | int) -> ToolCall:
    return ToolCall(call.name, {**call.args, **args})


def _path(call: ToolCall) -> tuple[str, str]:
    name = _PATHS[call.name]
    return name, str(call.args[name])


def _absolute(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final):
        return None
    name, path = _path(action)
    folder = rng.choice(["/", "/repo/", "/workspace/", "~/"])
    return _with(action, **{name: folder if path == "." else folder + path})


def _escape(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final):
        return None
    name, path = _path(action)
    return _with(action, **{name: ".." if path == "." else rng.choice(["../", "../../"]) + path})


def _empty_value(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final):
        return None
    return _with(action, **{"pattern" if action.name == "grep" and rng.random() < 0.5 else _path(action)[0]: ""})


def _out_of_range(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final) or action.name not in _WINDOWS:
        return None
    return _with(action, **{_WINDOWS[action.name]: rng.choice([0, -1])})


def _invalid_regex(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final) or action.name != "grep":
        return None
    return _with(action, pattern=str(action.args["pattern"]) + rng.choice(["(", "[", "(?=x)"]))


def _not_found(action: Action, history: History, rng: Random) -> Action | None:
    """A file of the same name where none is, or of nearly that name."""
    if isinstance(action, Final) or action.name == "write_file":
        return None
    name, path = _path(action)
    folder, file = posixpath.split(spelled(path))
    stem, dot, ending = file.partition(".")
    wrong = [posixpath.join("src", path), f"{stem}s{dot}{ending}", posixpath.join(folder, f"{stem}_{dot}{ending}")]
    unknown = [path for path in wrong if path not in history.said]
    return _with(action, **{name: rng.choice(unknown)}) if file not in ("", ".") and unknown else None


def _is_directory(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, Final) or action.name not in ("read_file", "write_file"):
        return None
    return _with(action, rel_path=posixpath.dirname(spelled(str(action.args["rel_path"]))) or ".")


def _exact_repeat(action: Action, history: History, rng: Random) -> Action | None:
    again = [call for call in history.calls if "exact_repeat" in history.flags(call)]
    return rng.choice(again) if again else None


def _near_repeat(action: Action, history: History, rng: Random) -> Action | None:
    narrower = [
        _with(call, **{window: max(1, int(call.args[window]) // rng.choice([2, 4, 10]))})
        for call in history.calls
        if (window := _WINDOWS.get(call.name))
    ]
    again = [call for call in narrower if "near_repeat" in history.flags(call)]
    return rng.choice(again) if again else None


def _no_op_write(action: Action, history: History, rng: Random) -> Action | None:
    if isinstance(action, ToolCall) and action.name == "write_file":
        current = history.text(spelled(str(action.args["rel_path"])))
        return None if current is None else _with(action, content=current)
    files = sorted(history.files.written.items())
    if not files:
        return None
    path, content = rng.choice(files)
    return ToolCall("write_file", {"rel_path": path, "content": content})


def _rewritten(flag: str, change: Callable[[list[str], Random], str]) -> Callable[..., Action | None]:
    """A spoiler of a write's content that is flagged as ``flag``."""

    def spoiled(action: Action, history: History, rng: Random) -> Action | None:
        if isinstance(action, Final) or action.name != "write_file":
            return None
        content = change(str(action.args["content"]).splitlines(), rng)
        path = str(action.args["rel_path"])
        return _with(action, content=content) if flag in content_flags(path, content) else None

    return spoiled


def _cut_syntax(lines: list[str], rng: Random) -> str:
    ends = [number for number, line in enumerate(lines) if line.rstrip().endswith((":", ")", "]"))]
    if ends:
        number = rng.choice(ends)
        lines[number] = lines[number].rstrip()[:-1]
    return "\n".join(lines) + "\n"


def _elide(lines: list[str], rng: Random) -> str:
    keep = rng.randint(1, max(1, len(lines) - 1))
    rest = rng.choice(["# ... rest of the code unchanged", "    # ... existing code ...", "# rest of the file"])
    return "\n".join([*lines[:keep], rest]) + "\n"


def _fence(lines: list[str], rng: Random) -> str:
    if rng.random() < 0.7:
        return "\n".join(["```python", *lines, "```"]) + "\n"
    return "\n".join(f"{number}: {line}" for number, line in enumerate(lines, 1)) + "\n"


def _premature_final(action: Action, history: History, rng: Random) -> Action | None:
    if history.changed:
        return None
    words = ["I fixed the bug.", "The tests pass now.", "The program is correct.", "I could not find the bug."]
    return Final(rng.choice(words), ())


_VALID: Mapping[str, Callable[[Action, History, Random], Action | None]] = {
    "empty_value": _empty_value,
    "path_absolute": _absolute,
    "path_escape": _escape,
    "out_of_range": _out_of_range,
    "invalid_regex": _invalid_regex,
    "not_found": _not_found,
    "is_directory": _is_directory,
    "exact_repeat": _exact_repeat,
    "near_repeat": _near_repeat,
    "no_op_write": _no_op_write,
    "content_syntax_error": _rewritten("content_syntax_error", _cut_syntax),
    "content_elided": _rewritten("content_elided", _elide),
    "fence_or_line_numbers_in_content": _rewritten("fence_or_line_numbers_in_content", _fence),
    "premature_final": _premature_final,
}

CORRUPTIONS: tuple[str, ...] = (*PARSE_CODES, *_VALID)
"""Every code that can be made; what a tool alone can tell (``binary_file``, ...) cannot."""
EVEN: Mix = dict.fromkeys(CORRUPTIONS, 1)
"""The mix where no model is named."""
