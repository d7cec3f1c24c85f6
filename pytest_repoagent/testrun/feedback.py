"""What a model is shown of a test run: short, the same for the same code, and without control characters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_repoagent.testrun.base import TestOutcome

TEXT_CHARS = 2000
HEADLINE_CHARS = 300
DETAIL_CHARS = 1200
STDOUT_CHARS = 250
ID_CHARS = 120
OTHERS_CHARS = 250
LEFT_OUT = "\n[...]\n"
ORDER = ("failed", "error", "passed", "skipped")

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|.)")
# Control characters, and those of Unicode's that nobody sees or that turn the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
# What the driver's own words begin with; a program may not speak with its voice.
_TAG = re.compile(
    r"\[((?:tool_result|parse_error|loop_warning|error|reflection|TESTS (?:PASS|FAIL))\b[^\]\n]{0,80})\]", re.IGNORECASE
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Also what is left of an address where pytest cut a long repr with "...".
_ADDRESS = re.compile(r"(\bat |\bthread |\.\.\.(?:a?t)? ?)0x[0-9a-f]+")
_CUT_ADDRESS = re.compile(r"\.\.\.x?[0-9a-f]+>")
_DEPTH = re.compile(r"\n +Displaying first and last \d+ stack frames out of \d+\.\n.*--full-trace.*")
_LIBRARY = re.compile(r"(?:\.\.)?(?:/[^/\s'\"]{1,80}){0,12}/(?:site-packages|dist-packages|lib/python3\.\d+)/")

_MACHINERY = re.compile(r"(?m)^(?:_pytest/|importlib/|pluggy/|<frozen importlib)[^\n]*: in [^\n]*\n(?:    [^\n]*\n)*")
# Advice to somebody who could run pytest; the model cannot.
_ADVICE = re.compile(r"(?m)^(?:E +Use -v to get more diff|Hint: make sure your test modules.*|Traceback:)(?:\n|\Z)")
_ADVICE_ENDING = re.compile(r", use '?-vv?'? to show")


def clean(text: str, folder: str = "", work: str = "") -> str:
    """``text`` without what differs between two runs or two machines, and without control characters.

    Args:
        text: any text, lone surrogates included.
        folder: the run's private folder; it becomes ``<tmp>``.
        work: the folder that the tests ran in; paths below it become relative.
    """
    for path, stand_in in ((f"{work}/", ""), (work, "."), (folder, "<tmp>")):
        if path not in ("", "/"):
            text = text.replace(path, stand_in)
    text = _CONTROL.sub("", _ESCAPE.sub("", text))
    text = _TAG.sub(r"(\1)", text)
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _MACHINERY.sub("", _LIBRARY.sub("", _DEPTH.sub("", text)))
    text = _ADVICE_ENDING.sub("", _ADVICE.sub("", text))
    return _CUT_ADDRESS.sub("...>", _ADDRESS.sub(r"\g<1>0x..", text))


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters: the head and, because errors stand at the end, more of the tail."""
    if len(text) <= limit:
        return text
    head = (limit - len(LEFT_OUT)) * 2 // 5
    return text[:head] + LEFT_OUT + text[len(text) - (limit - len(LEFT_OUT) - head) :]


def summary(counts: Mapping[str, int]) -> str:
    """``5 failed, 1 passed``, or ``no tests ran``."""
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ORDER if counts.get(outcome)) or "no tests ran"


def short_id(test_id: str) -> str:
    """A test's id without its file, on one short line."""
    return _line(test_id.partition("::")[2] or test_id)


def _line(text: str) -> str:
    line = clean(text).replace("\n", " ")
    return line if len(line) <= ID_CHARS else line[:ID_CHARS] + "..."


def failure_detail(text: str, stdout: str) -> str:
    """A failing test's short traceback, and the beginning and end of what it printed."""
    detail = clip(text.strip("\n"), DETAIL_CHARS)
    printed = stdout.strip("\n")
    return f"{detail}\nCaptured stdout:\n{clip(printed, STDOUT_CHARS)}" if printed else detail


def verdict_text(
    counts: Mapping[str, int], tests: Sequence[TestOutcome], headline: str = "", evidence: str = ""
) -> str:
    """The text behind ``[TESTS PASS]`` or ``[TESTS FAIL]``: a summary, the first failure, the other failures' names.

    Args:
        counts: outcome -> number of tests.
        tests: the tests that ended, in order.
        headline: why the run is not judged by its tests alone: a time-out, a crash.
        evidence: text that explains the headline: an import error, the last words on stderr.
    """
    blocks = [summary(counts)]
    if headline:
        so_far = f" (so far: {summary(counts)})" if tests else ""
        blocks = [clip(headline, HEADLINE_CHARS) + so_far]
    if evidence:
        blocks.append(clip(evidence.strip("\n"), DETAIL_CHARS if not tests else DETAIL_CHARS // 2))
    bad = [test for test in tests if test.outcome in ("failed", "error")]
    if bad:
        blocks.append(f"{bad[0].outcome.upper()} {_line(bad[0].test_id)}\n{bad[0].detail}")
    if len(bad) > 1:
        names = ", ".join(short_id(test.test_id) for test in bad[1:])
        shown = names if len(names) <= OTHERS_CHARS else names[:OTHERS_CHARS].rpartition(", ")[0] + ", ..."
        blocks.append(f"Also failing: {shown}")
    return clip("\n".join(blocks), TEXT_CHARS)
