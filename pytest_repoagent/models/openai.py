"""Models behind any OpenAI-compatible server (vLLM, Ollama, llama.cpp, OpenAI): ``openai:NAME``."""

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
    """Build the model ``name`` on ``context.base_url``, else ``OPENAI_BASE_URL``.

    A URL without a path gets ``/v1``, any other is used as given. The key comes from ``OPENAI_API_KEY``; local
    servers want none.

    Raises:
        ModelConfigError: no name, no base URL or not a usable one, or a key that cannot be one.
    """
    base_url = (context.base_url or os.environ.get("OPENAI_BASE_URL", "")).strip()
    if not base_url:
        raise ModelConfigError(f"openai:{name} needs a server: give --base-url or set OPENAI_BASE_URL.")
    if split_base_url(base_url).path in ("", "/"):
        base_url = base_url.rstrip("/") + "/v1"
    server = Server(
        provider="openai",
        key=os.environ.get("OPENAI_API_KEY", "").strip() or "unset",
        key_variable="OPENAI_API_KEY",
        base_url=base_url,
        models_path="/models",
        send=_send,
    )
    return ChatModel(server, name, context)


def _send(client: Together, body: dict[str, Any]) -> httpx.Response:
    from httpx import Response

    return client.post("/chat/completions", body=body, cast_to=Response)
