from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suite_kit import METADATA, task

from pytest_repoagent import bundled
from pytest_repoagent.split import split
from pytest_repoagent.suites import Recipe, Task, load_suite


def make(name: str, family: str, defect_class: str) -> Task:
    return Task.model_validate(task(name, family=family, metadata={**METADATA, "defect_class": defect_class}))


TASKS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcd")), min_size=1, max_size=25).map(
    lambda drawn: [make(f"t{i}", f"f{family}", defect) for i, (family, defect) in enumerate(drawn)]
)
RECIPES = st.one_of(
    st.builds(Recipe, method=st.just("rank"), ratio=st.sampled_from(["50/50", "70/30", "80/20"]), salt=st.text()),
    st.builds(Recipe, method=st.just("md5-percent"), ratio=st.sampled_from(["50/50", "70/30"])),
    st.builds(Recipe, method=st.just("seed"), ratio=st.sampled_from(["70/30", "80/20"]), seed=st.integers(0, 99)),
)


@given(TASKS, RECIPES, st.randoms())
def test_a_split_is_a_partition_of_whole_families_whatever_the_order(
    tasks: list[Task], recipe: Recipe, random: Random
) -> None:
    train, heldout = split(tasks, recipe)
    assert sorted(train + heldout) == sorted(t.task_id for t in tasks)
    family = {t.task_id: t.family for t in tasks}
    assert not {family[i] for i in train} & {family[i] for i in heldout}
    random.shuffle(tasks)
    assert split(tasks, recipe) == (train, heldout)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.sampled_from([10, 20, 30, 40]))
def test_rank_fills_every_quota_where_each_family_is_one_task(classes: list[str], percent: int) -> None:
    tasks = [make(f"t{i}", f"f{i}", defect) for i, defect in enumerate(classes)]
    _, heldout = split(tasks, Recipe(ratio=f"{100 - percent}/{percent}"))
    by_id = {t.task_id: t.metadata.defect_class for t in tasks}
    held = Counter(by_id[i] for i in heldout)
    quotas = Counter({c: int(n * percent / 100 + 0.5) for c, n in Counter(classes).items()})
    assert quotas <= held
    assert held.total() == max(quotas.total(), int(len(classes) * percent / 100 + 0.5))


@given(TASKS, RECIPES)
def test_no_more_is_held_out_than_the_quotas_and_the_share_ask_for(tasks: list[Task], recipe: Recipe) -> None:
    percent = int(recipe.ratio.split("/")[1])
    quotas = sum(int(n * percent / 100 + 0.5) for n in Counter(t.metadata.defect_class for t in tasks).values())
    _, heldout = split(tasks, recipe)
    if recipe.method != "md5-percent":
        assert len(heldout) <= max(quotas, int(len(tasks) * percent / 100 + 0.5))


def test_a_defect_class_is_not_held_out_beyond_its_quota_while_others_can_be() -> None:
    tasks = [make(f"a{i}", f"a{i}", "a") for i in range(10)] + [make(f"b{i}", f"b{i}", "b") for i in range(10)]
    for salt in map(str, range(20)):
        _, heldout = split(tasks, Recipe(salt=salt))
        assert Counter(i.split("/")[1][0] for i in heldout) == {"a": 3, "b": 3}


def test_quotas_give_way_to_the_total_where_families_do_not_fit_them() -> None:
    tasks = [make(f"t{i}", f"f{i // 3}", "abc"[i % 3]) for i in range(9)]
    _, heldout = split(tasks, Recipe(ratio="70/30"))
    assert len(heldout) == 3


def test_md5_percent_is_the_rule_of_the_name_alone() -> None:
    # their md5 sums modulo 100 are 24, 30 and 11
    tasks = [make(name, name, "a") for name in ("gcd", "kth", "sieve")]
    assert split(tasks, Recipe(method="md5-percent", ratio="30/70")) == (("bugs/gcd", "bugs/sieve"), ("bugs/kth",))


def test_salt_and_seed_change_the_split() -> None:
    tasks = [make(f"t{i}", f"f{i}", "a") for i in range(20)]
    assert len({split(tasks, Recipe(salt=str(s))) for s in range(5)}) > 1
    assert len({split(tasks, Recipe(method="seed", seed=s)) for s in range(5)}) > 1


@pytest.mark.parametrize(("ratio", "sizes"), [("70/30", (27, 13)), ("80/20", (32, 8)), ("60/40", (24, 16))])
def test_quixbugs_is_split_as_promised_under_any_salt(ratio: str, sizes: tuple[int, int]) -> None:
    tasks = load_suite(bundled.suites_dir() / "quixbugs_master.json").tasks
    for salt in map(str, range(20)):
        train, heldout = split(tasks, Recipe(ratio=ratio, salt=salt))
        assert (len(train), len(heldout)) == sizes
