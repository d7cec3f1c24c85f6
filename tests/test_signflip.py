from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.compare.signflip import signflip_p


def by_definition(differences: list[Fraction]) -> Fraction:
    observed = abs(sum(differences, Fraction()))
    signs = list(product((1, -1), repeat=len(differences)))
    return Fraction(
        sum(
            abs(sum((s * d for s, d in zip(choice, differences, strict=True)), Fraction())) >= observed
            for choice in signs
        ),
        len(signs),
    )


@given(st.lists(st.fractions(-1, 1, max_denominator=20), max_size=9))
def test_up_to_sixteen_tasks_it_is_the_definition(differences: list[Fraction]) -> None:
    assert signflip_p([float(d) for d in differences]) == float(by_definition(differences))


def test_all_tasks_worse_by_the_same_is_the_least_there_is() -> None:
    assert signflip_p([-0.1] * 13) == 2 / 2**13
    assert signflip_p([0.1] * 16) == 2 / 2**16


@given(st.lists(st.floats(-1, 1), max_size=8))
def test_it_is_two_sided_and_never_zero(differences: list[float]) -> None:
    p = signflip_p(differences)
    assert 0 < p <= 1
    assert p == signflip_p([-d for d in differences])


def test_beyond_sixteen_it_is_sampled_by_its_seed_near_the_truth() -> None:
    differences = [1.0] * 12 + [-1.0] * 6
    exact = 2 * sum(_choose(18, k) for k in range(12, 19)) / 2**18  # as many on one side, or more: a binomial tail
    assert signflip_p(differences, seed=3) == signflip_p(differences, seed=3)
    assert signflip_p(differences, seed=3) == pytest.approx(exact, abs=0.02)
    assert signflip_p([1.0] * 40) == 1 / 10_001


def _choose(n: int, k: int) -> int:
    value = 1
    for i in range(k):
        value = value * (n - i) // (i + 1)
    return value
