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


KEY_VARIABLE = "TOGETHER_API_KEY"


def create(name: str, context: ModelContext) -> Model:
    """Build the model ``name`` on ``context.base_url``, else ``TOGETHER_BASE_URL``, else the SDK's own hosts.

    Raises:
        ModelConfigError: no key, no name, a key that cannot be one, or an unusable base URL.
    """
    key, base_url = account(context.base_url)
    server = Server(
        provider="together",
        key=key,
        key_variable=KEY_VARIABLE,
        base_url=base_url,
        models_path="/v1/models",
        send=_send,
        extra_body={"context_length_exceeded_behavior": "error"},
    )
    return ChatModel(server, name, context)


def account(base_url: str | None = None) -> tuple[str, str | None]:
    """The key, and what the SDK puts before its paths: as given, else ``TOGETHER_BASE_URL``, else None.

    Raises:
        ModelConfigError: no key, or an unusable base URL.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise ModelConfigError(f"{KEY_VARIABLE} is not set: Together needs a key.")
    base_url = (base_url or os.environ.get("TOGETHER_BASE_URL", "")).strip()
    if base_url:
        split_base_url(base_url)
    else:
        os.environ.pop("TOGETHER_BASE_URL", None)  # the SDK would take a blank one for an address
    return key, base_url.rstrip("/").removesuffix("/v1") or None


def _send(client: Together, body: dict[str, Any]) -> httpx.Response:
    return client.chat.completions.with_raw_response.create(**body).http_response
