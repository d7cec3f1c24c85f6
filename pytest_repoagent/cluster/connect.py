"""This process' connection to Ray: a cluster that is there already, or a Ray of this machine for as long as the run."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from dataclasses import dataclass
from typing import Any

from pytest_repoagent.errors import UsageError

_REACH_S = 5.0
_REASON_CHARS = 400


@dataclass(frozen=True)
class Cluster:
    """What this process is connected to; there is one connection a process.

    Attributes:
        ray: the module.
        address: ``HOST:PORT`` of the cluster's head.
    """

    ray: Any
    address: str

    def nodes(self) -> list[dict[str, Any]]:
        """Those that are alive and have CPUs, as :func:`ray.nodes` describes them."""
        return [node for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]

    @property
    def cpus(self) -> float:
        """Of all nodes together."""
        return float(sum(node["Resources"]["CPU"] for node in self.nodes()))

    def close(self) -> None:
        """Leave the cluster, with all that this process has it do; stop it where it was started for this run."""
        self.ray.shutdown()


def connect(address: str | None) -> Cluster:
    """Join the cluster at ``address``, else the one at ``$RAY_ADDRESS``, else start a Ray of this machine.

    Raises:
        UsageError: Ray is not installed, or the cluster cannot be joined from here.
    """
    os.environ.setdefault("RAY_task_oom_retries", "3")  # Ray reads it when imported; its default is to go on forever
    try:
        import ray
    except ImportError:
        raise UsageError(
            "--engine=ray needs the extra `ray`: pip install 'pytest-repoagent[ray]' on every machine of the cluster"
        ) from None
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address not in (None, "auto"):
        _reach(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address or "local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        reason = " ".join(str(error).split())[:_REASON_CHARS] or type(error).__name__
        if address is None:
            raise UsageError(f"no Ray can be started on this machine: {reason}") from error
        raise UsageError(
            f"--ray-address={address} cannot be joined from here: {reason}; pytest must run on a machine of the "
            f"cluster, with its versions of Python and Ray, and with RAY_AUTH_MODE=token where it wants a token, "
            f"which --ray-address=auto finds out"
        ) from error
    finally:
        _end_on_sigterm(on_sigterm if address else signal.default_int_handler)
    return Cluster(ray, ray.get_runtime_context().gcs_address)


def _end_on_sigterm(handler: Any) -> None:
    """Take SIGTERM back from Ray, with whose handler it ends the running item only; a Ray of ours is ended in order."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _reach(address: str) -> None:
    """Find out quickly what Ray would take a minute for."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise UsageError(
            f"--ray-address={address} is none that can be joined: give HOST:PORT of the cluster's head, or auto, "
            f"on a machine of the cluster"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except OSError as error:
        raise UsageError(f"--ray-address={address} cannot be reached: {error.strerror or error}") from None
