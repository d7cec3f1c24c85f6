from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent.errors import UsageError
from pytest_repoagent.settings import Settings, make_settings


def test_what_is_not_given_has_its_default() -> None:
    settings = make_settings({"model": ["repair"], "suite": None, "rollouts": "8", "price": "0.3,0.6"})
    assert (settings.suite, settings.rollouts, settings.price) == ("quixbugs_heldout", 8, (0.3, 0.6))
    assert (settings.runner, settings.sandbox) == ("warm", "auto")
    assert settings.trace_root == Path(".repoagent/traces")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_iters": "0"}, "--max-iters=0 cannot be used"),
        ({"temperature": "warm"}, "--temperature=warm cannot be used"),
        ({"price": "1,2,3"}, r"--price=.* cannot be used"),
        ({"retries": "-1"}, "--retries=-1 cannot be used"),
    ],
)
def test_a_wrong_value_names_its_option(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_settings({"model": ["repair"], **given})


SHAPING = {
    "temperature": 0.9,
    "max_tokens": 1,
    "max_iters": 1,
    "max_loops": 1,
    "max_rollout_tokens": 1,
    "rollout_timeout": 1.0,
    "test_policy": "never",
    "test_timeout": 1.0,
    "window": "last_k:2",
    "paraphrase": 3,
    "parse": "lenient",
    "reflection": False,
    "runner": "other",
}
PLACES = {
    "model": ("oracle",),
    "suite": "x",
    "quixbugs": "q",
    "rollouts": 9,
    "concurrency": 9,
    "engine": "ray",
    "ray_address": "h:1",
    "seed": 9,
    "sandbox": "none",
    "base_url": "http://x",
    "request_timeout": 1.0,
    "retries": 0,
    "price": (1.0, 1.0),
    "store": Path("x"),
    "report": Path("x"),
    "max_usd": 1.0,
    "max_total_tokens": 9,
    "max_minutes": 9.0,
    "max_requests_per_minute": 9,
    "max_tokens_per_minute": 9,
    "resume": "last",
    "rerun_errors": True,
    "tag": "nightly",
    "compare_to": "x",
    "baseline": Path("x"),
    "fail_on": ("parse_errors<=3",),
    "limits": {"max_parse_errors": 3},
}


def test_the_hash_names_what_shapes_a_rollout_and_nothing_else() -> None:
    base = Settings(model=("repair",))
    assert {*SHAPING, *PLACES, "tool_protocol"} == set(Settings.model_fields)
    for name, value in SHAPING.items():
        assert Settings.model_validate({"model": ["repair"], name: value}).settings_hash("p") != base.settings_hash(
            "p"
        ), name
    for name, value in PLACES.items():
        assert Settings.model_validate({"model": ["repair"], name: value}).settings_hash("p") == base.settings_hash(
            "p"
        ), name
    assert base.settings_hash("p") != base.settings_hash("another prompt")
