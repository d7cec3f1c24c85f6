"""One table of what can go wrong: whose fault it is, and what follows from that.

Metrics, retries, the pytest outcome and the dataset builders all ask :func:`policy_for`; nothing else in the
project decides what an exception means.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RepoAgentError(Exception):
    """Base of every error this project raises on purpose. Its text is one sentence meant for the user."""


class UsageError(RepoAgentError):
    """The user's settings, files or keys are wrong; nothing was spent."""


class SuiteError(UsageError):
    """A suite file is wrong: the message names the file and the field."""


class SourceError(UsageError):
    """A task source cannot be had, or its files are not the ones the suite pins."""


class ModelConfigError(UsageError):
    """A model cannot be used as asked: unknown provider, missing or rejected key, unreachable server."""


class ProviderError(RepoAgentError):
    """The provider failed to answer after the retries it deserved (5xx, timeouts, broken replies, endless 429)."""


class ContextOverflow(ProviderError):
    """The prompt is longer than the model's context: sending it again cannot help."""


class OutOfReplies(RepoAgentError):
    """A recording has no more replies; the rollout ends as one whose replies are used up."""


class BudgetReached(RepoAgentError):
    """What the user allowed the run to spend is spent: money, tokens or time."""


class InfrastructureError(RepoAgentError):
    """This machine failed: the test driver, the disk, the sandbox."""


class Cause(StrEnum):
    """Whose fault it was."""

    MODEL = "model"
    PROVIDER = "provider"
    INFRASTRUCTURE = "infrastructure"
    USER = "user"
    BUDGET = "budget"


@dataclass(frozen=True)
class Policy:
    """What follows from a cause.

    Attributes:
        cause: whose fault it was.
        retry: whether running the rollout again may help.
        counts: whether the rollout is in the metrics' denominators.
        trainable: whether its steps before the failure may become training data.
        pytest_outcome: ``failed`` blames the model, ``error`` the surroundings, ``usage`` stops the session,
            ``skipped`` leaves the rollout to a session that resumes the run.
    """

    cause: Cause
    retry: bool
    counts: bool
    trainable: bool
    pytest_outcome: str


_POLICIES: dict[type[BaseException], Policy] = {
    UsageError: Policy(Cause.USER, retry=False, counts=False, trainable=False, pytest_outcome="usage"),
    ContextOverflow: Policy(Cause.PROVIDER, retry=False, counts=False, trainable=True, pytest_outcome="error"),
    ProviderError: Policy(Cause.PROVIDER, retry=True, counts=False, trainable=True, pytest_outcome="error"),
    BudgetReached: Policy(Cause.BUDGET, retry=True, counts=False, trainable=True, pytest_outcome="skipped"),
    AssertionError: Policy(Cause.MODEL, retry=False, counts=True, trainable=True, pytest_outcome="failed"),
    Exception: Policy(Cause.INFRASTRUCTURE, retry=True, counts=False, trainable=False, pytest_outcome="error"),
}


def policy_for(error: BaseException) -> Policy:
    """The policy of the nearest class in ``error``'s ancestry; anything unknown is infrastructure."""
    for cls in type(error).__mro__:
        if cls in _POLICIES:
            return _POLICIES[cls]
    return _POLICIES[Exception]
