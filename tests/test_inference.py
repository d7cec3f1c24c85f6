"""The statistics against SciPy, against enumeration, and against worlds in which the truth is known."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_repoagent.compare.inference import (
    effect,
    holm,
    least_p,
    mean,
    pass_at_k,
    rate_interval,
    sign_flip_p,
    t_interval,
    wilson,
)
from pytest_repoagent.compare.student import central_t

DIFFERENCES = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=2, max_size=9)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 12, 13, 39, 40, 199])
def test_student(df: int, share: float) -> None:
    assert central_t(share, df) == pytest.approx(stats.t.ppf((1 + share) / 2, df), rel=1e-9)


@given(DIFFERENCES)
def test_the_interval_is_that_of_a_one_sample_t_test(differences: list[float]) -> None:
    interval = t_interval(differences)
    if len(set(differences)) == 1:
        assert interval is None
    else:
        assert interval == pytest.approx(stats.ttest_1samp(differences, 0).confidence_interval(0.95))


@given(DIFFERENCES)
def test_the_sign_flip_p_is_the_enumerated_one(differences: list[float]) -> None:
    observed = abs(sum(differences))  # eighths add up exactly
    flips = list(itertools.product([-1, 1], repeat=len(differences)))
    extreme = sum(abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed for signs in flips)
    assert sign_flip_p(differences) == extreme / len(flips)


def test_the_sign_flip_p_is_scipys() -> None:
    differences = [0.31, -0.07, 0.52, 0.11, 0.0, 0.43, -0.2, 0.17, 0.25, 0.38, 0.02, -0.12, 0.29]
    theirs = stats.permutation_test((differences,), mean, permutation_type="samples", n_resamples=2**13).pvalue
    assert sign_flip_p(differences) == pytest.approx(theirs)


def test_beyond_sixteen_tasks_p_is_sampled_near_the_exact_one_and_repeats() -> None:
    draw = random.Random(1)
    differences = [draw.choice([-1, 1, 1]) / 4 for _ in range(20)]
    ups = sum(d > 0 for d in differences)
    exact = stats.binomtest(ups, 20).pvalue
    assert sign_flip_p(differences) == pytest.approx(exact, abs=4 * math.sqrt(exact / 2**16))
    assert sign_flip_p(differences) == sign_flip_p(differences)
    assert sign_flip_p([0.5] * 40) == 1 / 2**16  # never 0


def test_the_least_p_is_reached() -> None:
    assert sign_flip_p([0.5, 1.0, 0.25, 0.125, 1.0]) == least_p(5) == 0.0625
    assert sign_flip_p([0.0, 0.0]) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_closes_bonferroni(ps: list[float]) -> None:
    """By definition: a hypothesis's p is the worst Bonferroni p of all the families that it is in."""
    every = range(len(ps))
    families = [family for size in every for family in itertools.combinations(every, size + 1)]
    for i, adjusted in enumerate(holm(ps)):
        worst = max(min(1.0, len(family) * min(ps[j] for j in family)) for family in families if i in family)
        assert adjusted == pytest.approx(worst)


@pytest.mark.parametrize(("successes", "trials"), [(0, 13), (13, 13), (5, 13), (1, 100)])
def test_wilson(successes: int, trials: int) -> None:
    theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials) == pytest.approx((theirs.low, theirs.high))


def test_wilson_only_where_a_task_has_one_rollout() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert rate_interval(values, one_each=True) == wilson(3, 5)
    assert rate_interval(values, one_each=False) == t_interval(values)
    assert rate_interval([0.0] * 12, one_each=False) == (0.0, 0.25)
    assert rate_interval([1.0] * 12, one_each=False) == (0.75, 1.0)
    assert rate_interval([0.5] * 12, one_each=False) is None


@pytest.mark.parametrize(("rollouts", "passes", "k"), [(8, 3, 1), (8, 3, 4), (8, 0, 2), (8, 7, 2), (6, 2, 6)])
def test_pass_at_k_is_the_share_of_draws_with_a_pass(rollouts: int, passes: int, k: int) -> None:
    draws = list(itertools.combinations([True] * passes + [False] * (rollouts - passes), k))
    assert pass_at_k(rollouts, passes, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_the_detectable_difference_has_a_power_of_80_percent() -> None:
    differences = [0.3, -0.1, 0.5, 0.1, 0.0, 0.4, -0.2, 0.1, 0.2, 0.3, 0.0, -0.1, 0.2]
    found = effect(differences)
    assert found.detectable is not None
    shift = found.detectable / (stats.tstd(differences) / math.sqrt(13))
    power = stats.nct.sf(stats.t.ppf(0.975, 12), 12, shift)
    assert power == pytest.approx(0.8, abs=0.02)


def _worlds(count: int, gain: float) -> list[list[float]]:
    """Differences of pass rates at 13 tasks x 8 rollouts, as correlated within tasks as measured ones are.

    A task's chance of success is Beta(0.4, 0.6); each side moves it by chance (sd 1.5 logits), alike for both, so that
    with ``gain`` 0 there is nothing to find; side b gains so many logits.
    """
    draw = random.Random(20261121)

    def passes(chance: float, shift: float) -> float:
        logit = math.log(chance / (1 - chance)) + draw.gauss(0, 1.5) + shift
        return sum(draw.random() < 1 / (1 + math.exp(-logit)) for _ in range(8)) / 8

    def difference() -> float:
        chance = min(max(draw.betavariate(0.4, 0.6), 1e-9), 1 - 1e-9)
        return passes(chance, gain) - passes(chance, 0)

    return [[difference() for _ in range(13)] for _ in range(count)]


def test_type_one_error_is_at_most_nominal_at_13_tasks_and_8_rollouts() -> None:
    ps = [sign_flip_p(world) for world in _worlds(2000, gain=0)]
    for alpha in (0.01, 0.05, 0.1):
        assert sum(p <= alpha for p in ps) / len(ps) <= alpha
    assert sum(p <= 0.05 for p in ps) > 0  # it is no test that never rejects


def test_the_interval_covers_nothing_to_find_95_percent_of_the_time() -> None:
    intervals = [t_interval(world) for world in _worlds(2000, gain=0)]
    missed = sum(interval is not None and not interval[0] <= 0 <= interval[1] for interval in intervals)
    assert missed / len(intervals) <= 0.06


def test_a_large_gain_is_found() -> None:
    assert sum(sign_flip_p(world) <= 0.05 for world in _worlds(200, gain=4)) / 200 > 0.7
