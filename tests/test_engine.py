from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pairs_kit

from pytest_repoagent.engine import Engine
from pytest_repoagent.errors import ProviderError
from pytest_repoagent.models.base import Conversation, Reply, RolloutKey
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.registry import built_in
from pytest_repoagent.settings import make_settings


class Refusing:
    """A model whose provider is out of order."""

    def check(self) -> None: ...

    def start(self, key: RolloutKey) -> Conversation:
        return self

    def reply(self, messages: Sequence[Message]) -> Reply:
        raise ProviderError("503 six times")


def test_a_spoiled_rollout_is_made_again_for_who_asks_again_and_not_ahead(tmp_path: Path) -> None:
    registry = replace(
        built_in(),
        models={"fake": lambda name, context: Refusing()},
        runners={"comparing": lambda sandbox: pairs_kit.Comparing([])},
    )
    given = {"model": ["fake:x"], "store": tmp_path / "s", "runner": "comparing", "concurrency": 2}
    engine = Engine(make_settings(given), pairs_kit.suite(), registry, "run1", "2026-11-20T10:00:00+00:00")
    [key, *_] = engine.keys()
    told = engine.run(key)
    engine.start_ahead([key])
    engine.finish()
    assert len(list(engine.run_dir.glob("*.jsonl"))) == 1
    engine.start_ahead([])
    again = engine.run(key)
    engine.close()
    assert (told.counted, told.attempt, again.counted, again.attempt) == (False, 0, False, 1)
