from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.testrun.base import TestOutcome
from pytest_repoagent.testrun.feedback import clean, clip, failure_detail, short_id, summary, verdict_text

TEXTS = st.text(st.characters(exclude_categories=()), max_size=3000)
OUTCOMES = st.sampled_from(["passed", "failed", "skipped", "error"])


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("\x1b[1;31mE\x1b[0m \x1b]0;title\x07x\x1b(B", "E x"),
        ("a\r\nb\x00\x9b\x7f\tc", "a\nb\tc"),
        ("\ud800!", "\ufffd!"),
        ("<Node object at 0x7f12ab34cd56>", "<Node object at 0x..>"),
        ("Current thread 0x00007f12ab34cd56 (most", "Current thread 0x.. (most"),
        ("<A object at 0x7f12...12ab34cd56>, <B at 0x7...at 0x7fcd>", "<A object at 0x.....>, <B at 0x.....at 0x..>"),
        ("x,...7fcd56>, <y", "x,...>, <y"),
        ("x,... 0x7fcd56>, <y", "x,... 0x..>, <y"),
        ("assert 0xff == 255", "assert 0xff == 255"),
        ("/run/r1/box/prog.py:3: in f", "prog.py:3: in f"),
        ("'/run/r1/box' and '/run/r1/home/x'", "'.' and '<tmp>/home/x'"),
        ("/usr/lib/python3.11/json/decoder.py:337: in decode", "json/decoder.py:337: in decode"),
        ("../../usr/lib/python3.11/json/x.py:3", "json/x.py:3"),
        ("'/home/me/v/lib/python3.12/site-packages/numpy/core.py'", "'numpy/core.py'"),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw, "/run/r1", "/run/r1/box") == cleaned


@given(TEXTS)
def test_clean_leaves_only_printable_text(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not [char for char in cleaned if unicodedata.category(char) == "Cc" and char not in "\t\n"]


@given(TEXTS, st.integers(20, 200))
def test_clip_keeps_head_and_tail_within_the_limit(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    assert len(clipped) <= limit
    assert clipped == text if len(text) <= limit else (clipped[:4], clipped[-4:]) == (text[:4], text[-4:])


def test_summary_names_the_worst_first() -> None:
    assert summary({"passed": 1, "skipped": 2, "failed": 5, "error": 1}) == "5 failed, 1 error, 1 passed, 2 skipped"
    assert summary({}) == "no tests ran"


def test_short_id_drops_the_file_but_not_a_parameter() -> None:
    assert short_id("d/test_x.py::test_f[a::b/c]") == "test_f[a::b/c]"
    assert short_id("test_x.py::" + "x" * 500) == "x" * 120 + "..."


def test_a_failure_is_shown_whole_with_what_it_printed_and_the_others_by_name() -> None:
    first = TestOutcome("t.py::test_a[1]", "failed", failure_detail("t.py:3: in test_a\nE   assert 1 == 2\n", "hi\n"))
    others = [TestOutcome(f"t.py::test_a[{number}]", "failed", "hidden") for number in range(2, 60)]
    tests = [TestOutcome("t.py::test_b", "passed"), first, *others]
    text = verdict_text(Counter(test.outcome for test in tests), tests)
    assert text.startswith(
        "59 failed, 1 passed\nFAILED t.py::test_a[1]\nt.py:3: in test_a\nE   assert 1 == 2\n"
        "Captured stdout:\nhi\nAlso failing: test_a[2], test_a[3], "
    )
    assert text.endswith("], ...")
    assert "hidden" not in text


def test_a_headline_comes_first_with_what_ran_before() -> None:
    tests = [TestOutcome("t.py::test_a", "passed")]
    text = verdict_text({"passed": 1}, tests, "timed out after 10 s in test_b", "")
    assert text == "timed out after 10 s in test_b (so far: 1 passed)"
    assert verdict_text({}, [], "no tests ran", "last words\n") == "no tests ran\nlast words"


def test_the_first_failure_is_whole_when_everything_is_as_long_as_it_may_be() -> None:
    detail = failure_detail("x" * 9000, "y" * 9000)
    tests = [TestOutcome("t.py::" + str(number) * 300, "failed", detail) for number in range(9)]
    assert detail in verdict_text({"failed": 9}, tests)


@given(st.lists(st.builds(TestOutcome, TEXTS, OUTCOMES, TEXTS), max_size=5), TEXTS, TEXTS)
def test_the_text_is_bounded(tests: list[TestOutcome], headline: str, evidence: str) -> None:
    text = verdict_text(Counter(test.outcome for test in tests), tests, headline, evidence)
    assert len(text) <= 2000


def test_the_machinery_of_pytest_and_its_advice_are_not_shown() -> None:
    text = (
        "ImportError while importing test module 't/test_x.py'.\n"
        "Hint: make sure your test modules/packages have valid Python names.\n"
        "Traceback:\n"
        "/usr/lib/python3.11/importlib/__init__.py:126: in import_module\n"
        "    return _bootstrap._gcd_import(name[level:], package, level)\n"
        "           ^^^^\n"
        "<frozen importlib._bootstrap>:1204: in _gcd_import\n"
        "    ???\n"
        "/v/site-packages/_pytest/python.py:528: in importtestmodule\n"
        "    mod = import_path(\n"
        "t/test_x.py:1: in <module>\n"
        "    from p.x import x\n"
        "E   assert [1] == [2]\n"
        "E     Skipping 3 identical leading characters in diff, use -v to show\n"
        "E     Use -v to get more diff"
    )
    assert clean(text).splitlines() == [
        "ImportError while importing test module 't/test_x.py'.",
        "t/test_x.py:1: in <module>",
        "    from p.x import x",
        "E   assert [1] == [2]",
        "E     Skipping 3 identical leading characters in diff",
    ]
