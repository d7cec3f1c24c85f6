from __future__ import annotations

import pytest

from pytest_repoagent import errors
from pytest_repoagent.errors import Cause, policy_for


@pytest.mark.parametrize(
    ("error", "cause", "retry", "counts", "outcome"),
    [
        (errors.SuiteError("x"), Cause.USER, False, False, "usage"),
        (errors.ModelConfigError("x"), Cause.USER, False, False, "usage"),
        (errors.ProviderError("x"), Cause.PROVIDER, True, False, "error"),
        (errors.BudgetReached("x"), Cause.BUDGET, True, False, "skipped"),
        (errors.ContextOverflow("x"), Cause.PROVIDER, False, False, "error"),
        (errors.InfrastructureError("x"), Cause.INFRASTRUCTURE, True, False, "error"),
        (OSError(28, "no space"), Cause.INFRASTRUCTURE, True, False, "error"),
        (RuntimeError("never seen before"), Cause.INFRASTRUCTURE, True, False, "error"),
        (AssertionError("limit broken"), Cause.MODEL, False, True, "failed"),
    ],
)
def test_every_error_has_one_policy(error: Exception, cause: Cause, retry: bool, counts: bool, outcome: str) -> None:
    policy = policy_for(error)
    assert (policy.cause, policy.retry, policy.counts, policy.pytest_outcome) == (cause, retry, counts, outcome)
