"""The attack suite: nothing gets through the full sandbox, and what gets through a weaker one is documented."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attacks.catalogue import PAYLOADS
from attacks.levels import FULL, LEVELS, SUBPROCESS, known, succeeded, survey, surveyed, tables
from attacks.range import Level, Range

from pytest_repoagent.testrun.sandbox import layers

AT_ONCE = 3
CATEGORIES = tuple(dict.fromkeys(payload.category for payload in PAYLOADS))
ROOT = Path(__file__).parent.parent
all_levels = pytest.mark.skipif("REPOAGENT_ALL_LEVELS" not in os.environ, reason="set REPOAGENT_ALL_LEVELS: takes long")


def ranges(level: Level, folder: Path, stack: ExitStack) -> list[Range]:
    """Places to try payloads, until ``stack`` closes; skips where this machine lacks a layer of the level."""
    wanted = set() if level.runner == "subprocess" else set(layers.NAMES) - set(level.without)
    if lacking := wanted & {missing.layer for missing in layers.probe()[1]}:
        pytest.skip(f"this machine has no {' and '.join(sorted(lacking))}; `repoagent doctor` says why")
    places = [Range(level, folder / str(number)) for number in range(AT_ONCE)]
    for place in places:
        stack.callback(place.close)
        assert place.driver.sandbox == level.sandbox
    return places


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Range]]:
    with ExitStack() as stack:
        yield ranges(FULL, tmp_path_factory.mktemp("full"), stack)


def test_names_are_unique_and_the_categories_are_broad() -> None:
    assert len({payload.name for payload in PAYLOADS}) == len(PAYLOADS) >= 60
    assert len(CATEGORIES) >= 15


@pytest.mark.parametrize("category", CATEGORIES)
def test_nothing_gets_through_the_full_sandbox(full: list[Range], category: str) -> None:
    attempts = survey(full, [payload for payload in PAYLOADS if payload.category == category])
    assert {name: attempt for name, attempt in attempts.items() if attempt.harms} == {}


@pytest.mark.parametrize("category", [category for category in CATEGORIES if category in known().get("subprocess", {})])
def test_an_attack_of_each_kind_succeeds_where_nothing_stops_it(category: str, tmp_path: Path) -> None:
    """So that the test above can fail."""
    names = known()["subprocess"][category]
    payload = next(p for p in PAYLOADS if p.name in names and not p.root)
    with ExitStack() as stack:
        place = Range(SUBPROCESS, tmp_path)
        stack.callback(place.close)
        assert payload.aim in place.attempt(payload).harms


@all_levels
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_what_gets_through_each_level_is_documented(level: Level, tmp_path: Path) -> None:
    as_root = os.geteuid() == 0
    with ExitStack() as stack:
        found = succeeded(survey(ranges(level, tmp_path, stack), surveyed()))
    if as_root:
        assert found == known()[level.name]
    else:
        assert all(set(found[category]) <= set(known()[level.name].get(category, ())) for category in found)


def test_the_tables_are_those_of_the_page_on_security() -> None:
    assert tables(known()) in (ROOT / "docs/security.md").read_text(encoding="utf-8")
