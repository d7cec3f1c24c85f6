from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.errors import UsageError
from pytest_repoagent.gate.judge import check_judgeable, incomplete, judge
from pytest_repoagent.gate.metrics import METRICS
from pytest_repoagent.gate.rules import DEFAULT_RULES, Rule, parse_rule

NAMES = st.sampled_from(sorted(METRICS))
NUMBERS = st.decimals(0, "0.999", places=3).map(str)


def values(metric: str, *tasks: Sequence[float | None]) -> dict[str, dict[str, list[float | None]]]:
    return {f"t/{number}": {metric: list(of_task)} for number, of_task in enumerate(tasks)}


@given(NAMES, st.sampled_from(["<=", "<", ">=", ">"]), NUMBERS, st.floats(0, 1))
def test_an_absolute_rule_is_the_comparison_it_looks_like(name: str, sign: str, number: str, value: float) -> None:
    rule = parse_rule(f"{name}{sign}{number}")
    assert not rule.needs_baseline
    if abs(value - float(number)) > 1e-6:
        assert rule.within(value, rule.limit(0.3)) == eval(f"{value!r} {sign} {number}")


@given(NAMES, st.sampled_from("+-"), NUMBERS, st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_a_rule_against_a_baseline_bounds_the_worse_side(
    name: str, sign: str, number: str, percent: bool, before: float, now: float
) -> None:
    rule = parse_rule(f"{name}:{sign}{number}{'%' if percent else ''}")
    amount = float(sign + number) / (100 if percent else 1)
    limit = before + amount * (before if percent and METRICS[name].kind != "share" else 1)
    assert rule.limit(before) == pytest.approx(limit)
    if abs(now - limit) > 1e-6:
        assert rule.within(now, rule.limit(before)) == (now > limit if METRICS[name].higher_is_better else now < limit)


@given(
    st.text(max_size=30) | st.from_regex(r"[a-z_]{1,12}(:[+-]|[<>]=?)[0-9.]{1,400}%?(@p<[0-9.]{1,6})?", fullmatch=True)
)
def test_any_text_is_a_rule_that_can_be_broken_or_a_usage_error_in_one_line(text: str) -> None:
    try:
        rule: Rule | None = parse_rule(text)
        error = ""
    except UsageError as caught:
        rule, error = None, str(caught)
    if rule is None:
        assert error.startswith(f"--fail-on={text} cannot be used: ")
    else:
        assert rule.limit(0.5) < float("inf")
        assert rule.p is None or 0 < rule.p < 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pass:+0", "there is no metric pass, only strict_valid"),
        ("parse_errors", "write METRIC:+N"),
        ("parse_errors:0", "write METRIC:+N"),
        ("parse_errors : +0", "without spaces"),
        ("parse_errors:+nan", "write METRIC:+N"),
        ("strict_valid:-2", "write 2% or 0.02"),
        ("strict_valid:-1", "write 2% or 0.02"),
        ("strict_valid:-100%", "write 2% or 0.02"),
        ("strict_valid>=95", "write 2% or 0.02"),
        ("parse_errors<=3%", "is no share"),
        ("parse_errors<=3@p<0.05", "follows an allowed loss"),
        ("pass_rate:+10%@p<0.05", "follows an allowed loss"),
        ("steps:-1@p<0.05", "follows an allowed loss"),
        ("pass_rate:-10%@p<0", "above 0"),
        ("pass_rate:-10%@p<1", "below 1"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        parse_rule(text)


def test_shares_weigh_tasks_equally_and_percent_are_points() -> None:
    before, now = values("pass_rate", [1.0] * 8, [0.0]), values("pass_rate", [0.5, 0.0], [0.5])
    found = judge(parse_rule("pass_rate:-12.5%"), now, before)
    assert (found.baseline, found.now, found.limit, found.kept) == (0.5, 0.375, 0.375, True)
    assert not judge(parse_rule("pass_rate:-12.4%"), now, before).kept


def test_totals_are_compared_in_as_many_rollouts() -> None:
    before, now = values("parse_errors", [1.0, 2.0], [0.0, 0.0]), values("parse_errors", [2.0] * 4, [0.0] * 4)
    found = judge(parse_rule("parse_errors:+2"), now, before)
    assert (found.baseline, found.now, found.limit, found.kept) == (6.0, 8.0, 8.0, True)
    assert judge(parse_rule("parse_errors:+50%"), now, before).limit == 9.0
    assert not judge(parse_rule("parse_errors<=7"), now, None).kept


def test_with_a_p_a_loss_must_be_beyond_the_limit_and_no_chance() -> None:
    rule = parse_rule("pass_rate:-10%@p<0.05")
    before = values("pass_rate", *[[1.0]] * 8)

    def after(lost: int) -> tuple[float | None, bool]:
        found = judge(rule, values("pass_rate", *[[0.0]] * lost, *[[1.0]] * (8 - lost)), before)
        return found.p, found.kept

    assert after(0) == (1.0, True)
    assert after(5) == (2 / 2**5, True)
    assert after(6) == (2 / 2**6, False)
    small = values("pass_rate", *[[0.95]] * 8)
    assert judge(rule, small, before).kept
    assert judge(rule, small, before).p == 2 / 2**8


def test_a_gain_never_breaks_a_rule_that_allows_a_loss() -> None:
    for text in ("pass_rate:-0", "pass_rate:-10%@p<0.05"):
        assert judge(parse_rule(text), values("pass_rate", *[[1.0]] * 8), values("pass_rate", *[[0.0]] * 8)).kept


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=3), min_size=8, max_size=10))
def test_the_same_values_twice_keep_the_default_rules(tasks: list[list[float]]) -> None:
    for rule in map(parse_rule, DEFAULT_RULES):
        same = values(rule.metric.name, *tasks)
        assert judge(rule, same, same).kept


def test_an_unknown_value_is_left_out_and_a_task_without_any_is_refused() -> None:
    rule = parse_rule("pass_rate:-10%")
    assert judge(rule, values("pass_rate", [None, 1.0]), values("pass_rate", [0.0])).now == 1.0
    with pytest.raises(UsageError, match=r"pass_rate is not known of t/1 in this run"):
        judge(rule, values("pass_rate", [1.0], [None]), values("pass_rate", [1.0], [1.0]))
    with pytest.raises(UsageError, match=r"pass_rate is not known of t/0 in the baseline"):
        judge(rule, values("pass_rate", [1.0]), values("pass_rate", [None]))


FOUR_OF_TWELVE = [[1.0]] * 4 + [[0.0]] * 8


@pytest.mark.parametrize(
    ("text", "before", "says"),
    [
        ("pass_rate:-10%@p<0.05", FOUR_OF_TWELVE, "only 4 of 12 tasks can get worse, which gives no p below 0.125"),
        ("pass_rate:-40%", FOUR_OF_TWELVE, "never be broken"),
        ("loop_rate:+60%", [[0.5]] * 9, "never be broken"),
        ("pass_rate:+70%", FOUR_OF_TWELVE, "never be kept"),
        ("steps:-3", [[2.0]], "never be kept"),
        ("pass_rate>=0", [[1.0]], "never be broken"),
        ("loop_rate<=100%", [[1.0]], "never be broken"),
        ("parse_errors>=0", [[1.0]], "never be broken"),
        ("parse_errors<0", [[1.0]], "never be kept"),
        ("strict_valid>1", [[1.0]], "never be kept"),
        ("tokens:+10%", [[None]], "tokens is not known of t/0 in the baseline"),
        ("steps:+10%@p<0.05", [[2.0]] * 5, "only 5 of 5 tasks can get worse, which gives no p below 0.0625"),
    ],
)
def test_a_rule_that_nothing_can_break_or_keep_is_refused(
    text: str, before: Sequence[Sequence[float | None]], says: str
) -> None:
    rule = parse_rule(text)
    with pytest.raises(UsageError, match=re.escape(says)):
        check_judgeable(rule, len(before), values(rule.metric.name, *before))


@given(NAMES, st.sampled_from("+-"), NUMBERS, st.lists(st.floats(0, 1), min_size=7, max_size=9), st.booleans())
def test_every_other_rule_is_broken_by_the_worst_run_and_kept_by_the_best(
    name: str, sign: str, number: str, means: list[float], with_p: bool
) -> None:
    before = values(name, *[[mean] for mean in means])
    try:
        rule = parse_rule(f"{name}:{sign}{number}{'@p<0.05' if with_p else ''}")
        check_judgeable(rule, len(means), before)
    except UsageError:
        return
    worst, best = (0.0, 1.0) if rule.metric.higher_is_better else (1.0 if rule.metric.kind == "share" else 1e6, 0.0)
    assert not judge(rule, values(name, *[[worst]] * len(means)), before).kept
    assert judge(rule, values(name, *[[best]] * len(means)), before).kept


def test_a_run_with_a_rollout_missing_is_incomplete() -> None:
    now = values("parse_errors", [0.0, 0.0], [0.0])
    assert incomplete(now, ["t/0", "t/1"], 1) is None
    assert incomplete(now, ["t/0", "t/1"], 2) == "only 3 of 4 rollouts completed and count, too few of t/1"
    assert incomplete(now, ["t/0", "t/1", "t/2"], 1) == "only 3 of 3 rollouts completed and count, too few of t/2"
