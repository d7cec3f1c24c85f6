"""From what a test process reported to a verdict: by its reports, never by pytest's exit code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.testrun.base import Job, Judge, Reason, TestOutcome, Verdict
from pytest_repoagent.testrun.ending import Ending
from pytest_repoagent.testrun.events import Collected, Event, Finished, NotCollected, Report, Started, Stopped
from pytest_repoagent.testrun.feedback import clean as no_paths
from pytest_repoagent.testrun.feedback import failure_detail, short_id, verdict_text


@dataclass(frozen=True)
class Judgement:
    """The parts of a verdict that follow from the reports; see :class:`~.base.Verdict`."""

    reason: Reason
    counts: Counter[str]
    tests: tuple[TestOutcome, ...]
    text: str


def judge(
    events: Sequence[Event],
    ending: Ending,
    *,
    expected_passed: int,
    expected_skipped: int,
    stderr: str = "",
    clean: Callable[[str], str] = no_paths,
) -> Judgement:
    """Judge a run.

    It passes only if the session finished, each collected test was reported passed in every phase exactly once or
    is skipped, and the numbers of both are the expected ones. A test marked xfail proves nothing whatever it did,
    so it counts as skipped.

    Args:
        events: what the test process sent.
        ending: how it ended.
        expected_passed: how many tests pass on the corrected program.
        expected_skipped: how many are skipped on the corrected program.
        stderr: what it wrote there; shown where the reports do not say what happened.
        clean: takes machine paths and addresses out of a text.
    """
    tests, problems = _outcomes(events, clean)
    counts: Counter[str] = Counter(test.outcome for test in tests)
    reason, headline, evidence = _reason(events, ending, counts, problems)
    if reason == "passed" and (counts["passed"], counts["skipped"]) != (expected_passed, expected_skipped):
        reason = "incomplete"
        headline, evidence = _shortfall(tests, counts, expected_passed, expected_skipped)
    if reason in ("crashed", "incomplete", "collection_error") and not evidence:
        evidence = stderr
    return Judgement(reason, counts, tests, verdict_text(counts, tests, clean(headline), clean(evidence)))


def to_verdict(
    job: Job,
    events: Sequence[Event],
    ending: Ending,
    *,
    stderr: str,
    work: str,
    folder: str,
    started: float,
    cpu_s: float,
    runner: str,
    how: Judge,
    sandbox: str,
) -> Verdict:
    """Judge a run that a runner made.

    Args:
        job: what was asked for.
        events: what the test process sent.
        ending: how it ended.
        stderr: what it wrote there.
        work: where its tests were.
        folder: where they could write.
        started: when the monotonic clock said so.
        cpu_s: CPU seconds of all its processes.
        runner: the runner's name.
        how: see :class:`~.base.Verdict`, as for ``sandbox``.
        sandbox: what kept the candidate in.

    Raises:
        InfrastructureError: pytest did not start.
    """
    if not events:
        words = no_paths(stderr).strip().rpartition("\n")[2] or "it said nothing"
        raise InfrastructureError(f"The test process {job.command[0]} {ending.what} before pytest started: {words}.")
    judgement = judge(
        events,
        ending,
        expected_passed=job.expected_passed,
        expected_skipped=job.expected_skipped,
        stderr=stderr,
        clean=partial(no_paths, folder=folder, work=work),
    )
    return Verdict(
        passed=judgement.reason == "passed",
        reason=judgement.reason,
        counts=dict(judgement.counts),
        tests=judgement.tests,
        text=judgement.text,
        duration_s=time.monotonic() - started,
        cpu_s=cpu_s,
        runner=runner,
        judge=how,
        sandbox=sandbox,
    )


def _reason(
    events: Sequence[Event], ending: Ending, counts: Counter[str], problems: Sequence[str]
) -> tuple[Reason, str, str]:
    """The reason, a headline where the tests alone do not say it, and what explains the headline."""
    began = any(isinstance(event, Started) for event in events)
    broken = [event for event in events if isinstance(event, NotCollected)]
    stopped = next((event for event in events if isinstance(event, Stopped)), None)
    finished = bool(events) and isinstance(events[-1], Finished) and ending.in_order
    if ending.reason:
        return ending.reason, f"{ending.what} {_where(events)}", ""
    if any(event.outcome == "failed" for event in broken):
        return "collection_error", "the tests could not be collected", _first_text(broken)
    if stopped and stopped.internal and began:
        return "crashed", f"pytest stopped with an internal error {_where(events)}", stopped.text
    if stopped and stopped.internal:
        return "collection_error", "the tests could not be collected", stopped.text
    if stopped:
        return "incomplete", f"the tests were stopped {_where(events)}", stopped.text
    if not finished:
        return "incomplete", f"the test process {ending.what} {_where(events)}", ""
    if not any(isinstance(event, Collected) for event in events):
        return "collection_error", "pytest could not start", ""
    if counts["failed"] or counts["error"]:
        return "failed", "", ""
    if problems:
        return "incomplete", f"the reports do not add up: {problems[0]}", ""
    if not counts:
        return "incomplete", "no tests ran", _first_text(broken)
    return "passed", "", ""


def _outcomes(events: Sequence[Event], clean: Callable[[str], str]) -> tuple[tuple[TestOutcome, ...], tuple[str, ...]]:
    """The tests that ended, and what no honest session would report."""
    collected = Counter(test_id for event in events if isinstance(event, Collected) for test_id in event.ids)
    reports: dict[str, list[Report]] = {}
    ended: dict[str, None] = {}
    for event in events:
        if isinstance(event, Report):
            reports.setdefault(event.id, []).append(event)
            if event.when == "teardown":
                ended[event.id] = None
    tests = tuple(_outcome(test_id, reports[test_id], clean) for test_id in ended)
    problems = [f"{test_id} was collected {times} times" for test_id, times in collected.items() if times > 1]
    problems += [f"{test_id} was reported but not collected" for test_id in reports if test_id not in collected]
    problems += [f"{test_id} was not run to its end" for test_id in collected if test_id not in ended]
    problems += [f"{test_id} was reported more than once" for test_id in ended if not _regular(reports[test_id])]
    return tests, tuple(problems)


def _regular(reports: Sequence[Report]) -> bool:
    phases = [report.when for report in reports if not report.subtest]
    ran = reports[0].when == "setup" and reports[0].outcome == "passed"
    return phases == (["setup", "call", "teardown"] if ran else ["setup", "teardown"])


def _outcome(test_id: str, reports: Sequence[Report], clean: Callable[[str], str]) -> TestOutcome:
    """The worst of a test's reports."""
    for report in sorted(reports, key=lambda report: report.when != "call"):
        if report.outcome == "failed":
            detail = failure_detail(clean(report.text), clean(report.stdout))
            return TestOutcome(test_id, "failed" if report.when == "call" else "error", detail)
    for report in reports:
        if report.outcome == "skipped" or report.xfail:
            return TestOutcome(test_id, "skipped", failure_detail(clean(report.text), ""))
    return TestOutcome(test_id, "passed")


def _where(events: Sequence[Event]) -> str:
    """``in test_x[3]``: what was running when the events ended."""
    running = ""
    for event in events:
        if isinstance(event, Started):
            running = event.id
        elif isinstance(event, Report) and event.when == "teardown":
            running = ""
    if running:
        return f"in {short_id(running)}"
    if any(isinstance(event, Started) for event in events):
        return "between or after the tests"
    return "before the first test"


def _first_text(broken: Sequence[NotCollected]) -> str:
    """The text of the first failure, else of the first skip."""
    ordered = sorted(broken, key=lambda event: event.outcome == "skipped")
    return ordered[0].text if ordered else ""


def _shortfall(
    tests: Sequence[TestOutcome], counts: Counter[str], expected_passed: int, expected_skipped: int
) -> tuple[str, str]:
    """Why tests that all passed or were skipped are no proof."""
    if counts["skipped"] > expected_skipped:
        skipped = next(test for test in tests if test.outcome == "skipped")
        surplus = counts["skipped"] - expected_skipped
        return f"skipped {surplus} {_tests(surplus)} that must run", f"SKIPPED {skipped.test_id}\n{skipped.detail}"
    return f"{counts['passed']} {_tests(counts['passed'])} passed where {expected_passed} must", ""


def _tests(number: int) -> str:
    return "test" if number == 1 else "tests"
