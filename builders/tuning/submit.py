"""Submitting a job: everything is checked and bounded first, and then it is created exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

from builders.tuning import files, quote
from builders.tuning.api import Api, Unanswered
from builders.tuning.data import Data
from builders.tuning.request import Hyperparameters, Method, Target, body, check_limits, suffix
from builders.tuning.wire import FAILED, Estimate, Job, Jobs
from pytest_repoagent.errors import ProviderError, UsageError
from pytest_repoagent.store import jobs

PROVIDER = "together"
LOOKS_S = (1.0, 5.0, 15.0)
"""Seconds before each look for a job whose creation was not answered."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """A job to submit.

    Attributes:
        max_usd: it must not cost more, by the service's own estimate.
        without_estimate: submit it even where there is no estimate.
        preview: look at the loss masks of the first rows before.
    """

    method: Method
    data: Data
    target: Target
    how: Hyperparameters
    max_usd: float
    without_estimate: bool = False
    preview: bool = False

    @property
    def name(self) -> str:
        """The suffix by which the job is found again."""
        val_sha256 = self.data.val.sha256 if self.data.val else None
        return suffix(self.method, self.target, self.data.train.sha256, val_sha256, self.how)

    def body(self, train_id: str, val_id: str | None) -> dict[str, Any]:
        """The request that creates it."""
        return body(self.method, self.target, train_id, val_id, self.how, self.name)


def submit(api: Api, order: Order, store: Path, say: Say) -> Job:
    """Submit a job, or find the same one where it was submitted before and has not failed.

    Raises:
        UsageError: a file, a bound or the price is wrong, or the key; nothing was submitted.
        ProviderError: the service cannot be used now.
        InfrastructureError: the store cannot be written.
    """
    jobs.prepare(store)
    train_id = files.put(api, order.data.train, say)
    val_id = files.put(api, order.data.val, say) if order.data.val else None
    bounds = quote.limits(api, order.target)
    check_limits(order.method, order.how, bounds)
    if order.data.trajectories and bounds.supports_reasoning:
        raise UsageError(
            f"{bounds.model_name} learns only the last message of a row, but the rows of {order.data.train.path} are "
            "whole rollouts; build them with --unit step"
        )
    request = order.body(train_id, val_id)
    estimate = quote.estimate(api, request)
    say(quote.guard(estimate, order.max_usd, order.without_estimate))
    if order.preview:
        say(quote.check_masks(api, bounds.model_name, train_id, order.data.train))
    job, created = create_once(api, request)
    say(f"{job.id}: {'submitted' if created else f'was submitted before and is {job.status}; no second one was made'}")
    known = None if created else jobs.find(store, job.id)
    if known is None or known["submitted_at"] is None:
        jobs.submitted(store, _row(order, request, estimate, job, bounds.model_name), sighting(job))
    return job


def create_once(api: Api, request: dict[str, Any]) -> tuple[Job, bool]:
    """Create the job unless one of its name is there that has not failed; also whether it was created now.

    Raises:
        UsageError: the service refused it.
        ProviderError: it was not created, or nobody knows.
    """
    from httpx import Response

    before = _named(api, request["suffix"])
    for job in before:
        if job.status not in FAILED:
            return job, False
    try:
        return api.order(lambda client: client.post("/v1/fine-tunes", body=request, cast_to=Response), Job), True
    except Unanswered as error:
        lost = str(error)
    known = {job.id for job in before}
    for wait_s in LOOKS_S:
        sleep(wait_s)
        try:
            found = _named(api, request["suffix"])
        except ProviderError as error:
            lost = str(error)
            continue
        for job in found:
            if job.id not in known:
                return job, True
    raise ProviderError(
        f"{lost}; whether the job was created is not known, none named {request['suffix']} is listed yet: run the same "
        "command again in a minute, it looks for the job first and creates no second one"
    )


def sighting(job: Job, error: str | None = None) -> jobs.Sighting:
    """What the store keeps of the service's account of a job."""
    return jobs.Sighting(
        job_id=job.id,
        provider=PROVIDER,
        status=job.status,
        base_model=job.model,
        output_name=job.model_output_name,
        model_object_id=job.model_object_id,
        cost_usd=job.cost_usd,
        error=error,
    )


def _named(api: Api, name: str) -> list[Job]:
    every = api.ask(lambda client: client.fine_tuning.with_raw_response.list().http_response, Jobs)
    return [job for job in every.data if name in (job.suffix or "") or name in (job.model_output_name or "")]


def _row(order: Order, request: dict[str, Any], estimate: Estimate, job: Job, base_model: str) -> jobs.Submission:
    train, val = order.data.train, order.data.val
    tokens = (estimate.estimated_train_token_count, estimate.estimated_eval_token_count)
    return jobs.Submission(
        job_id=job.id,
        provider=PROVIDER,
        method=order.method,
        base_model=base_model,
        from_job=order.target.from_job,
        name=order.name,
        train_path=str(train.path.absolute()),
        train_sha256=train.sha256,
        train_file_id=request["training_file"],
        val_path=str(val.path.absolute()) if val else None,
        val_sha256=val.sha256 if val else None,
        val_file_id=request["validation_file"] or None,
        request=json.dumps(request),
        estimate_usd=estimate.estimated_total_price,
        estimate_tokens=None if tokens == (None, None) else int(sum(count or 0 for count in tokens)),
        submitted_at=datetime.now(UTC).replace(tzinfo=None),
    )
