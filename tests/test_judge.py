from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.testrun.ending import Ending
from pytest_repoagent.testrun.events import (
    ChannelError,
    Collected,
    Event,
    EventReader,
    Finished,
    Hello,
    NotCollected,
    Report,
    Started,
    Stopped,
)
from pytest_repoagent.testrun.judge import Judgement, judge

IN_ORDER = Ending("ended with exit status 0", in_order=True)


def report(test_id: str, when: str, outcome: str = "passed", **fields: object) -> Report:
    plain = {"kind": "report", "xfail": False, "subtest": False, "text": "", "stdout": ""}
    return Report.model_validate({**plain, "id": test_id, "when": when, "outcome": outcome, **fields})


def passing(test_id: str) -> list[Event]:
    return [
        Started(kind="started", id=test_id),
        *(report(test_id, when) for when in ("setup", "call", "teardown")),
    ]


def session(ids: Sequence[str], tests: Iterable[Event]) -> list[Event]:
    collected = Collected(kind="collected", ids=tuple(ids))
    return [Hello(kind="hello"), collected, *tests, Finished(kind="finished")]


def judged(events: Sequence[Event], passed: int = 2, skipped: int = 0, ending: Ending = IN_ORDER) -> Judgement:
    return judge(events, ending, expected_passed=passed, expected_skipped=skipped, stderr="last words")


GOOD = session(["a", "b"], passing("a") + passing("b"))


def test_a_full_session_passes() -> None:
    assert judged(GOOD).reason == "passed"
    assert judged(GOOD).text == "2 passed"


@pytest.mark.parametrize("missing", range(1, len(GOOD)))
def test_every_event_but_the_starts_is_needed(missing: int) -> None:
    reason = judged(GOOD[:missing] + GOOD[missing + 1 :]).reason
    assert (reason == "passed") == isinstance(GOOD[missing], Started)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (session(["a", "b"], passing("a") + passing("b") + passing("b")), "b was reported more than once"),
        (session(["a"], passing("a") + passing("b")), "b was reported but not collected"),
        (session(["a", "b", "c"], passing("a") + passing("b")), "c was not run to its end"),
        (session(["a", "b", "b"], passing("a") + passing("b")), "b was collected 2 times"),
        (session(["a"], passing("a")), "1 test passed where 2 must"),
        (session(["a", "b", "c"], passing("a") + passing("b") + passing("c")), "3 tests passed where 2 must"),
        (session([], []), "no tests ran\nlast words"),
        ([*GOOD, Finished(kind="finished"), *passing("a")], "the test process ended with exit status 0"),
    ],
)
def test_reports_that_do_not_add_up_are_incomplete(events: Sequence[Event], text: str) -> None:
    judgement = judged(events)
    assert judgement.reason == "incomplete"
    assert text in judgement.text


def test_an_end_out_of_order_is_incomplete_though_everything_was_reported() -> None:
    judgement = judged(GOOD, ending=Ending("ended with exit status 1"))
    assert judgement.reason == "incomplete"
    assert judgement.text.startswith("the test process ended with exit status 1 between or after the tests")


def test_expected_skips_are_needed_too() -> None:
    skip: list[Event] = [report("b", "setup", "skipped", text="slow"), report("b", "teardown")]
    events = session(["a", "b"], passing("a") + skip)
    assert judged(events, passed=1, skipped=1).text == "1 passed, 1 skipped"
    assert judged(events, passed=1).reason == "incomplete"
    assert judged(GOOD, passed=1, skipped=1).reason == "incomplete"


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([report("a", "setup", "failed"), report("a", "teardown")], "error"),
        ([report("a", "setup"), report("a", "call"), report("a", "teardown", "failed")], "error"),
        ([report("a", "setup"), report("a", "call", "failed"), report("a", "teardown", "failed")], "failed"),
        ([report("a", "setup"), report("a", "call", "skipped", xfail=True), report("a", "teardown")], "skipped"),
        ([report("a", "setup"), report("a", "call", xfail=True), report("a", "teardown")], "skipped"),
        (
            [
                report("a", "setup"),
                report("a", "call", "skipped", subtest=True),
                report("a", "call"),
                report("a", "teardown"),
            ],
            "skipped",
        ),
    ],
)
def test_a_test_is_as_bad_as_its_worst_report(reports: list[Event], outcome: str) -> None:
    judgement = judged(session(["a"], reports), passed=1)
    assert [test.outcome for test in judgement.tests] == [outcome]
    assert judgement.reason != "passed"


def test_a_driver_that_cut_the_run_short_says_why_whatever_was_reported() -> None:
    cut = Ending("timed out after 10 s", "timed_out")
    running = [*GOOD[:6], Started(kind="started", id="t.py::b[3]")]
    assert judged(running, ending=cut).text == "timed out after 10 s in b[3] (so far: 1 passed)"
    assert judged(GOOD, ending=cut).reason == "timed_out"


def test_what_could_not_be_collected_is_shown() -> None:
    skip = NotCollected(kind="not_collected", id="t.py", outcome="skipped", text="some skip")
    error = NotCollected(kind="not_collected", id="u.py", outcome="failed", text="ImportError: x")
    assert judged(session([], [skip, error])).text == "the tests could not be collected\nImportError: x"
    assert judged(session([], [skip])).text == "no tests ran\nsome skip"
    assert judged([Hello(kind="hello"), Finished(kind="finished")]).text == "pytest could not start\nlast words"


@pytest.mark.parametrize(("internal", "reason"), [(True, "crashed"), (False, "incomplete")])
def test_a_stopped_session_never_passes(internal: bool, reason: str) -> None:
    stopped = Stopped(kind="stopped", internal=internal, text="Exit: enough")
    judgement = judged(session(["a", "b"], [*passing("a"), *passing("b"), stopped]))
    assert judgement.reason == reason
    assert "Exit: enough" in judgement.text


@given(st.integers(1, 200))
def test_the_reader_takes_events_in_pieces_of_any_size(size: int) -> None:
    data = b"".join(b"n0nce " + event.model_dump_json().encode() + b"\n" for event in GOOD)
    reader = EventReader("n0nce")
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    assert reader.events == GOOD


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "finished"}',
        b'n0nce{"kind": "finished"}',
        b"n0nce ",
        b'n0nce {"kind": "unknown"}',
        b'n0nce {"kind": "started", "id": 3}',
        b'n0nce {"kind": "started", "id": "x", "more": 1}',
        b"n0nce " + b"[" * 100_000,
        b'n0nce {"kind": "started", "id": "' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_the_reader_refuses_what_the_test_process_would_not_send(line: bytes) -> None:
    with pytest.raises(ChannelError):
        EventReader("n0nce").feed(line + b"\n")


def test_the_reader_refuses_an_endless_line_before_it_ends() -> None:
    with pytest.raises(ChannelError):
        EventReader("n0nce").feed(b"x" * (1 << 20) + b"x")


def test_the_reader_bounds_the_sum_of_lines() -> None:
    reader = EventReader("n0nce")
    line = b"n0nce " + json.dumps({"kind": "started", "id": "x" * 1_000_000}).encode() + b"\n"
    for _ in range((16 << 20) // len(line)):
        reader.feed(line)
    with pytest.raises(ChannelError):
        reader.feed(line)
