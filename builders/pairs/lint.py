"""What makes a pair worthless or harmful, so that it is left out: the first reason in ``REASONS`` that applies.

A pair must show a real difference that somebody could learn, and its better side must be worth learning.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from builders.examples import State
from builders.history import History, spelled
from builders.pairs.rubric import Judged
from pytest_repoagent.conduct import loops
from pytest_repoagent.protocol.actions import Action, Final, ToolCall

MAX_CHURN_LINES = 4
"""Lines of a minimal diff that may differ in space, comments or blanks alone."""
MIN_LARGE_LINES = 6
"""A diff of so few lines is never too large."""

REASONS: Mapping[str, str] = {
    "both invalid": "neither side is an action",
    "preferred is invalid": "the better side is no action, or the tool refuses it",
    "equal after canonicalisation": "both sides are one action, spelled differently or not at all",
    "both are finals": "they differ in the model's own account of its work, which is never believed",
    "same patch": "both writes leave the same code, or both diffs are the same",
    "format-only difference": "both calls ask for the same: only thought, or the spelling of a path, differs",
    "preferred repeats an earlier action": "the better side is itself a loop",
    "preferred is poor": "more speaks against the better side than for it: its own points are below zero",
    "both fail their tests": "tests were run after both, and failed",
    "preferred fails its tests": "they failed after the better side, and the other side is another valid action",
    "preferred diff is not minimal": f"it changes more than {MAX_CHURN_LINES} lines in space, comments or blanks "
    f"alone, or more than {MIN_LARGE_LINES} lines and half of the file",
    "worse by the rubric": "the rubric gives the better side fewer points than the other action",
    "margin too small": "the better side is better by less than --min-margin",
}
"""Every reason, in order."""


@dataclass(frozen=True)
class Candidate:
    """A pair that may become an example.

    Attributes:
        history: what the state's prompt shows.
        construction: how it was made, such as ``rollouts:action``.
        margin: points by which ``preferred`` is better.
        acts: whether the sides are replies; else they are other texts, such as diffs.
    """

    state: State
    history: History
    preferred: Judged
    rejected: Judged
    construction: str
    margin: float
    tags: tuple[str, ...] = ()
    acts: bool = True


def reason(pair: Candidate, min_margin: float) -> str | None:
    """Why a pair is left out, None where it is good."""
    good, bad = pair.preferred, pair.rejected
    found = _same(good, bad) if not pair.acts else _invalid(good, bad) or _same_action(good, bad)
    if found:
        return found
    if loops(good.faults):
        return "preferred repeats an earlier action"
    if good.points < 0:
        return "preferred is poor"
    if good.tests is False and bad.tests is False:
        return "both fail their tests"
    if good.tests is False and bad.action is not None and pair.construction != "corruption":
        return "preferred fails its tests"
    if _is_large(pair):
        return "preferred diff is not minimal"
    if good.points < bad.points:
        return "worse by the rubric"
    return "margin too small" if pair.margin < min_margin else None


def _invalid(good: Judged, bad: Judged) -> str | None:
    if good.action is None:
        return "both invalid" if bad.action is None else "preferred is invalid"
    return "preferred is invalid" if "refused" in good.rules else None


def _same(good: Judged, bad: Judged) -> str | None:
    return "same patch" if good.text == bad.text else None


def _same_action(good: Judged, bad: Judged) -> str | None:
    if bad.action is None or good.action is None:
        return None
    if good.text == bad.text:
        return "equal after canonicalisation"
    if isinstance(good.action, Final) and isinstance(bad.action, Final):
        return "both are finals"
    if _meaning(good.action) == _meaning(bad.action):
        is_write = isinstance(good.action, ToolCall) and good.action.name == "write_file"
        return "same patch" if is_write else "format-only difference"
    return None


def _meaning(action: Action) -> object:
    if isinstance(action, Final):
        return action.summary
    args = {name: value for name, value in action.args.items() if name != "thought"}
    for name in ("rel_path", "rel_dir"):
        if name in args:
            args[name] = spelled(str(args[name]))
    if "content" in args:
        args["content"] = code(str(args["content"]))
    return action.name, args


def code(text: str) -> str:
    """A file as Python sees it, without comments and layout; text that is no Python, without space around lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.dump(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _is_large(pair: Candidate) -> bool:
    """Whether the preferred side's diff is larger than a small repair needs to be."""
    action = pair.preferred.action
    if not pair.acts:
        lines = [line for line in pair.preferred.text.splitlines() if not line.startswith(("---", "+++"))]
        return _churn([x[1:] for x in lines if x[:1] == "-"], [x[1:] for x in lines if x[:1] == "+"]) > MAX_CHURN_LINES
    if not isinstance(action, ToolCall) or action.name != "write_file":
        return False
    before = pair.history.text(spelled(str(action.args["rel_path"])))
    if before is None:
        return False
    old, new = before.splitlines(), str(action.args["content"]).splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changed = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    removed = [line for _, i, j, _, _ in changed for line in old[i:j]]
    added = [line for _, _, _, i, j in changed for line in new[i:j]]
    size = max(len(removed), len(added))
    return size > max(MIN_LARGE_LINES, len(old) / 2) or _churn(removed, added) > MAX_CHURN_LINES


def _churn(removed: list[str], added: list[str]) -> int:
    """Changed lines without a change that Python could see."""
    before, after = (Counter(re.sub(r"\s", "", line) for line in lines) for lines in (removed, added))
    trivial = sum(n for counter in (before, after) for text, n in counter.items() if not text or text[0] == "#")
    return trivial + sum(n for text, n in (before & after).items() if text and text[0] != "#")
