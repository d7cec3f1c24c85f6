"""One rollout in the terminal, step by step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from textwrap import indent

from rich.console import Console, ConsoleRenderable
from rich.rule import Rule
from rich.text import Text

from pytest_repoagent.rollout import Rollout, Step, TestRun

# Control characters, and those of Unicode's that nobody sees or that turn the direction of text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def show(rollout: Rollout, console: Console) -> None:
    """Print the whole rollout. Hidden characters, which a model may have written, are spelled out as ``<U+202E>``."""
    for part in _parts(rollout):
        console.print(part, soft_wrap=isinstance(part, Text))


def _parts(rollout: Rollout) -> Iterator[ConsoleRenderable]:
    yield _text(f"{rollout.task_id}, {rollout.model}, rollout {rollout.index} of run {rollout.run_id}", "bold")
    facts = f"seed {rollout.seed}, {rollout.steps} steps, {rollout.duration_s:.1f} s, outcome {rollout.outcome}"
    yield _text(facts, "dim")
    for message in rollout.trajectory[0].new_messages if rollout.trajectory else ():
        yield from _block(message["role"], message["content"])
    for step in rollout.trajectory:
        yield from _step(step)
        for test_run in rollout.tests:
            if test_run.step == step.index:
                yield from _test_run(test_run)
    yield Rule("end", style="dim")
    for test_run in rollout.tests:
        if test_run.step is None:
            yield from _test_run(test_run)
    for label, text in (("error", rollout.error), ("summary", rollout.final_summary)):
        if text:
            yield from _block(label, text)
    yield from _diff(rollout.diff)


def _step(step: Step) -> Iterator[ConsoleRenderable]:
    what = step.action.get("name", "final") if step.action else "no action"
    codes = [code for code in (step.error_code, step.tool_code) if code]
    title = Text(" ").join(
        [_text(f"step {step.index} {what}", "bold"), *(_text(code, "bold red") for code in codes)]
        + [_text(flag, "yellow") for flag in step.flags]
    )
    yield Rule(title, style="red" if step.error_code or step.executed_ok is False else "dim")
    yield from _block("raw", step.raw)
    if step.error_code:
        yield from _block("error", step.error_message or "", "red")
    if step.action:
        yield from _block("parsed", json.dumps(step.action, ensure_ascii=False, indent=1))
    if step.result is not None:
        yield from _block("tool", step.result, "red" if step.executed_ok is False else "")


def _test_run(test_run: TestRun) -> Iterator[ConsoleRenderable]:
    counts = "".join(f", {count} {outcome}" for outcome, count in test_run.counts.items())
    passed = test_run.passed
    yield _text(f"tests {'PASS' if passed else 'FAIL'}: {test_run.reason}{counts}", "green" if passed else "red")
    yield _text(indent(test_run.text, "  "))


def _diff(diff: str) -> Iterator[ConsoleRenderable]:
    yield _text("diff", "bold")
    for line in diff.splitlines() or ["nothing was changed"]:
        yield _text(line, _DIFF_STYLES.get(line[:1], ""))


def _block(label: str, text: str, style: str = "") -> Iterator[ConsoleRenderable]:
    yield _text(label, "bold dim")
    yield _text(indent(text, "  "), style)


def _text(text: str, style: str = "") -> Text:
    return Text(_HIDDEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text), style)
