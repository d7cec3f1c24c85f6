"""All payloads."""

from __future__ import annotations

from . import (
    channel,
    exhaust,
    forge,
    kernel,
    know,
    network,
    odd,
    output,
    processes,
    reads,
    signals,
    snoops,
    state,
    writes,
)

MODULES = (
    reads,
    snoops,
    writes,
    network,
    processes,
    signals,
    kernel,
    exhaust,
    know,
    forge,
    channel,
    state,
    output,
    odd,
)
PAYLOADS = tuple(payload for module in MODULES for payload in module.PAYLOADS)
