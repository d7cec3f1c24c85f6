"""The dedicated endpoint that a tuned model needs before it can be asked. It costs by the minute, asked or not.

Its name follows from the job, so it is found and removed wherever it was made from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from builders.tuning.api import Api, NotThere, Unanswered
from builders.tuning.watch import retrieve
from builders.tuning.wire import Configs, Deployment, Endpoint, Endpoints, Identity, Instances, Nothing
from pytest_repoagent.errors import ProviderError, UsageError
from pytest_repoagent.store import jobs

if TYPE_CHECKING:
    from together import APIResponse, Omit, Together

IDLE_MINUTES = 30
"""After so long without a request the service itself stops the replicas, the least it offers."""
_READY = "DEPLOYMENT_STATE_READY"
_HOPELESS = ("DEPLOYMENT_STATE_FAILED", "DEPLOYMENT_STATE_STOPPED", "DEPLOYMENT_STATE_STOPPING")
_POLL_S = 2.0

Say = Callable[[str], None]


class Offer(NamedTuple):
    """Where a job's model can be served, and for how much."""

    project: str
    model: str
    config: str
    hardware: str
    usd_per_hour: float


def offer(api: Api, job_id: str) -> Offer:
    """The cheapest way to serve a job's model on one replica.

    Raises:
        UsageError: the job is not completed, is served already, or no machine of a known price serves its model.
    """
    job = retrieve(api, job_id)
    if job.status != "completed" or not job.model_object_id:
        raise UsageError(f"{job_id} is {job.status}; only a completed job has a model to deploy")
    project = _project(api)
    if there := _named(api, project, job_id):
        raise UsageError(f"{there[0].name} is there already: `repoagent tune undeploy {job_id}` removes it")
    model = f"projects/{project}/models/{job.model_object_id}"
    configs = api.ask(
        lambda client: (
            client.models.configs.with_raw_response.list(project_id=project, reference_model=model).http_response
        ),
        Configs,
    ).data
    machines = api.ask(lambda client: client.endpoints.hardware.with_raw_response.list().http_response, Instances).data
    prices = {
        _bare(name): machine.price_cents_per_hour / 100 for machine in machines for name in (machine.id, machine.name)
    }
    offers = [
        Offer(project, model, f"projects/{config.project_id}/configs/{config.id}", hardware, prices[_bare(hardware)])
        for config in configs
        if (hardware := config.hardware) and _bare(hardware) in prices
    ]
    if not offers:
        raise UsageError(f"Together has no machine of a known price for the model of {job_id}; nothing was deployed")
    return min(offers, key=lambda found: found.usd_per_hour)


def create(api: Api, store: Path, job_id: str, found: Offer) -> Endpoint:
    """Make the endpoint and its one replica. Whatever is left when this fails, :func:`remove` removes.

    Raises:
        UsageError: the service refused.
        ProviderError: the service cannot be used now.
    """
    try:
        endpoint = api.order(
            lambda client: (
                client.endpoints.with_raw_response.create(project_id=found.project, name=_name(job_id)).http_response
            ),
            Endpoint,
        )
    except Unanswered:
        made = _named(api, found.project, job_id)
        if not made:
            raise
        endpoint = made[0]
    jobs.deployed(store, endpoint.id, job_id, endpoint.name, found.hardware, found.usd_per_hour)
    deployment = api.order(
        lambda client: (
            client.endpoints.deployments.with_raw_response.create(
                endpoint.id,
                project_id=found.project,
                name=_name(job_id),
                model=found.model,
                config=found.config,
                autoscaling={"min_replicas": 1, "max_replicas": 1},
                inactive_timeout=IDLE_MINUTES,
            ).http_response
        ),
        Deployment,
    )
    api.ask(
        lambda client: (
            client.endpoints.with_raw_response.update(
                endpoint.id,
                project_id=found.project,
                traffic_split=[{"deployment_id": deployment.id, "weight": 1}],
            ).http_response
        ),
        Nothing,
    )
    return endpoint.model_copy(update={"deployments": [deployment]})


def wait_ready(api: Api, project: str, endpoint: Endpoint, deadline: float, say: Say) -> None:
    """Wait until the endpoint answers, until ``deadline`` on the monotonic clock.

    Raises:
        ProviderError: it cannot be had, or not in time.
    """
    deployment_id = endpoint.deployments[0].id
    told = ""
    while True:
        status = api.ask(
            lambda client: (
                client.endpoints.deployments.with_raw_response.retrieve(
                    deployment_id, project_id=project, endpoint_id=endpoint.id
                ).http_response
            ),
            Deployment,
        ).status
        state, message = (status.state, status.message) if status else ("unknown", "")
        if state == _READY:
            return
        if state in _HOPELESS:
            raise ProviderError(f"{endpoint.name} cannot be served: {message or state}")
        if message != told:
            say(f"{endpoint.name}: {message}")
            told = message
        if time.monotonic() > deadline:
            raise ProviderError(f"{endpoint.name} was not ready in the time given with --for; give it longer")
        sleep(_POLL_S)


def remove(api: Api, store: Path, job_id: str) -> list[str]:
    """Remove every endpoint of a job; returns their names, none if there is none.

    Raises:
        ProviderError, UsageError: one may be left.
        InfrastructureError: they are gone, but the store cannot be written.
    """
    project = _project(api)
    found = _named(api, project, job_id)
    for endpoint in found:
        _remove(api, project, endpoint)
    if found:
        jobs.removed(store, job_id)
    return [endpoint.name for endpoint in found]


def _remove(api: Api, project: str, endpoint: Endpoint) -> None:
    """In the order in which the service lets go of it: routing, replicas, deployment, endpoint."""
    _gone(
        api,
        lambda client: client.endpoints.with_raw_response.update(endpoint.id, project_id=project, traffic_split=[]),
    )
    for deployment in endpoint.deployments:
        _stop(api, project, endpoint.id, deployment.id)
    _gone(api, lambda client: client.endpoints.with_raw_response.delete(endpoint.id, project_id=project))


def _stop(api: Api, project: str, endpoint_id: str, deployment_id: str) -> None:
    _gone(
        api,
        lambda client: client.endpoints.deployments.with_raw_response.update(
            deployment_id,
            project_id=project,
            endpoint_id=endpoint_id,
            autoscaling={"min_replicas": 0, "max_replicas": 0},
        ),
    )
    _gone(
        api,
        lambda client: client.endpoints.deployments.with_raw_response.delete(
            deployment_id, project_id=project, endpoint_id=endpoint_id
        ),
    )


def _gone(api: Api, send: Callable[[Together], APIResponse[Any]]) -> None:
    """Ask for a step of the removal; what is gone already needs none."""
    try:
        api.ask(lambda client: send(client).http_response, Nothing)
    except NotThere:
        return


def _named(api: Api, project: str, job_id: str) -> list[Endpoint]:
    from together import omit

    found: list[Endpoint] = []
    after: str | None = None
    while True:
        page = _page(api, project, after or omit)
        found += [endpoint for endpoint in page.data if endpoint.name.rpartition("/")[2] == _name(job_id)]
        after = page.next_cursor
        if not after:
            return found


def _page(api: Api, project: str, after: str | Omit) -> Endpoints:
    return api.ask(
        lambda client: client.endpoints.with_raw_response.list(project_id=project, after=after).http_response, Endpoints
    )


def _project(api: Api) -> str:
    return api.ask(lambda client: client.with_raw_response.whoami().http_response, Identity).project.id


def _bare(hardware: str) -> str:
    """Without the vendor, which configurations and machines name or leave out (as the SDK has it)."""
    return hardware.lower().replace("nvidia-", "")


def _name(job_id: str) -> str:
    return f"repoagent-{job_id}".lower()
