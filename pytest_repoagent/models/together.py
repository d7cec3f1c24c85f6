"""Models served by Together AI: ``together:ORG/NAME``, with the key in ``TOGETHER_API_KEY``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.models.base import Model, ModelContext
from pytest_repoagent.models.chat import ChatModel, Server, split_base_url

if TYPE_CHECKING:
    import httpx
    from together import Together


def create(name: str, context: ModelContext) -> Model:
    """Build the model ``name`` on ``context.base_url``, else ``TOGETHER_BASE_URL``, else the SDK's own hosts.

    Raises:
        ModelConfigError: no key, no name, a key that cannot be one, or an unusable base URL.
    """
    key = os.environ.get("TOGETHER_API_KEY", "").strip()
    if not key:
        raise ModelConfigError("TOGETHER_API_KEY is not set: together models need a key.")
    base_url = (context.base_url or os.environ.get("TOGETHER_BASE_URL", "")).strip()
    if base_url:
        split_base_url(base_url)
    else:
        os.environ.pop("TOGETHER_BASE_URL", None)  # the SDK would take a blank one for an address
    server = Server(
        provider="together",
        key=key,
        key_variable="TOGETHER_API_KEY",
        base_url=base_url.rstrip("/").removesuffix("/v1") or None,
        models_path="/v1/models",
        send=_send,
        extra_body={"context_length_exceeded_behavior": "error"},
    )
    return ChatModel(server, name, context)


def _send(client: Together, body: dict[str, Any]) -> httpx.Response:
    return client.chat.completions.with_raw_response.create(**body).http_response
