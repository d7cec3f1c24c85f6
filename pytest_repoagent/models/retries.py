"""Attempts at one request: how many it deserves, and when the next one is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform
from time import monotonic, sleep
from typing import TypeVar

from pytest_repoagent.errors import RepoAgentError
from pytest_repoagent.models.base import Reply
from pytest_repoagent.pace import AnyPace

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why a request has no usable answer; ``status`` is None where no whole HTTP answer came."""

    error: RepoAgentError
    retry: bool
    status: int | None = None
    after_s: float | None = None


@dataclass
class Effort:
    """What it took: attempts after the first, and seconds waited for the provider's limits."""

    retries: int = 0
    waited_s: float = 0.0


def persist(
    attempt: Callable[[], T | Failure], pace: AnyPace, retries: int, tokens: int = 0, patient: bool = False
) -> tuple[T | Failure, Effort]:
    """Attempt at the provider's pace until it works, cannot work, or failed too often.

    Args:
        attempt: makes one.
        pace: when one may be made.
        retries: how many failures are followed by another attempt.
        tokens: what an attempt takes, about.
        patient: a 429 is no failure while the provider answers anybody.
    """
    began, effort, failures = monotonic(), Effort(), 0
    while True:
        turn = pace.wait(tokens)
        effort.waited_s += turn.waited_s
        answer = attempt()
        if not isinstance(answer, Failure):
            usage = answer.usage if isinstance(answer, Reply) else None
            pace.answered(turn, usage.prompt_tokens + usage.completion_tokens if usage else None)
            return answer, effort
        limited = answer.status == 429
        pace.failed(turn, limited, answer.after_s)
        if not (limited and patient and pace.is_hopeful(monotonic() - began)):
            failures += 1
        if not answer.retry or failures > retries:
            return answer, effort
        if not limited and answer.after_s is None:
            sleep(backoff_s(failures - 1))
        effort.retries += 1


def backoff_s(retried: int) -> float:
    """Half a second, doubling up to half a minute; less up to half of it, so that threads spread out."""
    return uniform(0.25, 0.5) * (1 << min(retried, 6))
