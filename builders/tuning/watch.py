"""Following a job: its events, its progress, and how it ended. The job needs none of this and goes on without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from builders.tuning.api import Api
from builders.tuning.submit import sighting
from builders.tuning.wire import FAILED, TERMINAL, Event, Events, Job, Nothing
from pytest_repoagent.errors import ProviderError
from pytest_repoagent.store import jobs

PATIENCE_S = 3600.0
"""Seconds for which the service may be out of reach."""
_POLL_S = 1.0
_POLL_MAX_S = 20.0

Say = Callable[[str], None]


def retrieve(api: Api, job_id: str) -> Job:
    """A job as it is now.

    Raises:
        NotThere: there is none of this id.
    """
    return api.ask(lambda client: client.fine_tuning.with_raw_response.retrieve(job_id).http_response, Job)


def cancel(api: Api, store: Path, job_id: str) -> Job:
    """Ask the service to stop a job; steps that are done are paid for.

    Raises:
        Rejected: it has ended already, or is not there.
    """
    api.ask(lambda client: client.fine_tuning.with_raw_response.cancel(job_id).http_response, Nothing)
    job = retrieve(api, job_id)
    jobs.seen(store, sighting(job))
    return job


def watch(api: Api, store: Path, job_id: str, say: Say) -> Job:
    """Follow a job to its end; the store hears of each change of its status.

    Raises:
        NotThere, ModelConfigError: there is no such job, or the key is refused.
        ProviderError: the service was out of reach for an hour.
        InfrastructureError: the store cannot be written.
    """
    seen = _Seen()
    wait_s = _POLL_S
    lost_at: float | None = None
    with _bar() as show:
        while True:
            try:
                job = retrieve(api, job_id)
                events = api.ask(
                    lambda client: client.fine_tuning.with_raw_response.list_events(job_id).http_response, Events
                )
            except ProviderError as error:
                if lost_at is None:
                    lost_at = monotonic()
                    say(f"{error}; trying again")
                if monotonic() - lost_at > PATIENCE_S:
                    raise
            else:
                if lost_at is not None:
                    say("Together answers again")
                lost_at = None
                for event in seen.new(events.data):
                    say(f"{event.created_at[:19]}  {event.message}")
                show(job.status, seen.step, seen.steps)
                if job.status != seen.status:
                    jobs.seen(store, sighting(job, _why(job, events.data)))
                    seen.status = job.status
                if job.status in TERMINAL:
                    return job
            sleep(wait_s)
            wait_s = min(wait_s * 1.5, _POLL_MAX_S)


@dataclass
class _Seen:
    """What was told already."""

    status: str = ""
    step: int = 0
    steps: int = 0
    events: set[tuple[str, str, str]] = field(default_factory=set)

    def new(self, events: list[Event]) -> list[Event]:
        """Those that were not seen before, in their order."""
        fresh = []
        for event in sorted(events, key=lambda event: event.created_at):
            key = (event.created_at, event.type, event.message)
            if key not in self.events:
                self.events.add(key)
                fresh.append(event)
            self.step = max(self.step, event.step or 0)
            self.steps = max(self.steps, event.total_steps or 0)
        return fresh


def _why(job: Job, events: list[Event]) -> str | None:
    """The last thing the service said of a job that failed."""
    if job.status not in FAILED or not events:
        return None
    return max(events, key=lambda event: event.created_at).message


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on a terminal's stderr; the function given takes status, step and steps in all (0: unknown)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("job", total=None)
        yield lambda status, step, steps: bar.update(task, description=status, completed=step, total=steps or None)
