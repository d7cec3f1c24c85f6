"""The held-out evaluation: one item per task, rollout and model, judged by the protocol.

Run it with ``pytest --model=PROVIDER:NAME``. An item fails where the model broke the protocol (parse errors, loops,
no file written; with ``--require-pass``, failing tests), and is an error where the provider or this machine failed.
"""

from __future__ import annotations

import pytest

from pytest_repoagent.item_limits import ItemLimits, explain, violations
from pytest_repoagent.rollout import Rollout


def test_heldout(rollout: Rollout, rollout_limits: ItemLimits) -> None:
    """The rollout stays within the limits."""
    broken = violations(rollout, rollout_limits)
    if broken:
        pytest.fail(explain(rollout, broken), pytrace=False)
