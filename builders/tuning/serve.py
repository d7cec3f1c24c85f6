"""Serving a tuned model for a bounded time: however this ends, the endpoint is removed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builders.command import run
from builders.signals import handled, interrupt
from builders.tuning import endpoint
from builders.tuning.api import Api
from builders.tuning.money import usd
from pytest_repoagent.errors import RepoAgentError, UsageError
from pytest_repoagent.store import jobs

_HOUR_S = 3600.0

Say = Callable[[str], None]


def serve(api: Api, store: Path, job_id: str, seconds: float, max_usd: float, command: Sequence[str], say: Say) -> int:
    """Deploy a job's model, keep it up for a time or as long as a command takes, and remove it.

    Args:
        api: the account that trained it.
        store: is told of the endpoint.
        job_id: a completed job.
        seconds: how long it may be up at most, from the moment it is paid for.
        max_usd: what that may cost.
        command: run while it is up; ``{model}`` in its words becomes the model to evaluate.
        say: is told the price first, and the rest as it happens.

    Returns:
        The command's exit status; 124, as timeout(1) has it, where it was ended; 0 without a command.

    Raises:
        UsageError: it would cost more, or cannot be served.
        ProviderError: the service failed; the error says if the endpoint may be left.
    """
    jobs.prepare(store)
    found = endpoint.offer(api, job_id)
    most = found.usd_per_hour * seconds / _HOUR_S
    say(f"price: {usd(found.usd_per_hour)} an hour on {found.hardware}, at most {usd(most)} for the time given")
    if most > max_usd:
        raise UsageError(f"that is above --max-usd {max_usd:g}; nothing was deployed")
    deadline = time.monotonic() + seconds
    with _removed(api, store, job_id, found.usd_per_hour, say):
        up = endpoint.create(api, store, job_id, found)
        endpoint.wait_ready(api, found.project, up, deadline, say)
        say(f"together:{up.name} is up for {max(0.0, deadline - time.monotonic()) / 60:.0f} minutes more")
        if command:
            return run([word.replace("{model}", f"together:{up.name}") for word in command], deadline, say)
        say("Ctrl-C removes it sooner")
        time.sleep(max(0.0, deadline - time.monotonic()))
    return 0


@contextmanager
def _removed(api: Api, store: Path, job_id: str, usd_per_hour: float, say: Say) -> Iterator[None]:
    """Remove the job's endpoint at the end of the block; no signal that can be ignored cuts that short."""
    try:
        with handled(interrupt):
            yield
    finally:
        with handled(signal.SIG_IGN):
            try:
                for name in endpoint.remove(api, store, job_id):
                    say(f"{name} is removed")
            except RepoAgentError as error:
                raise type(error)(
                    f"{str(error).rstrip('.')}; the endpoint of {job_id} may be up at {usd(usd_per_hour)} an hour: "
                    f"`repoagent tune undeploy {job_id}` removes it"
                ) from None
