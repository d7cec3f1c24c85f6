"""What OpenAI-style chat servers send, made uniform: completions, lists of models, complaints, ``Retry-After``."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from pytest_repoagent.models.base import Reply, Usage

if TYPE_CHECKING:
    import httpx

RETRY_AFTER_CAP_S = 120.0


class _AssistantMessage(BaseModel):
    content: Any = None
    tool_calls: list[Any] | None = None


class _Choice(BaseModel):
    message: _AssistantMessage
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Tokens | None = None


class _ListedModel(BaseModel):
    id: str


class _ModelList(BaseModel):
    data: list[_ListedModel]


def read_completion(data: Any) -> Reply:
    """The first choice of a chat completion; ``eos`` is Together's word for ``stop``.

    Raises:
        ValueError: it is no chat completion, or has no choice.
    """
    completion = _Completion.model_validate(data)
    choice, tokens, usage = completion.choices[0], completion.usage, None
    if tokens and tokens.prompt_tokens is not None and tokens.completion_tokens is not None:
        usage = Usage(tokens.prompt_tokens, tokens.completion_tokens)
    return Reply(
        text=_text(choice.message.content),
        finish_reason="stop" if choice.finish_reason == "eos" else choice.finish_reason,
        usage=usage,
        extra={"tool_calls": choice.message.tool_calls} if choice.message.tool_calls else {},
    )


def read_models(data: Any) -> list[str]:
    """Names out of OpenAI's ``{"data": [...]}`` or Together's bare list.

    Raises:
        ValueError: it is neither.
    """
    listed = _ModelList.model_validate({"data": data} if isinstance(data, list) else data)
    return [model.id for model in listed.data]


def read_complaint(response: httpx.Response) -> tuple[str, object]:
    """What the server says is wrong and its error code, wherever it keeps them."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return response.text, None
    error = (body.get("error") or body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return str(error), None
    return str(error.get("message") or error.get("detail") or json.dumps(error)), error.get("code")


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds the ``Retry-After`` header asks for (RFC 9110, 10.2.3), at most two minutes; None without one."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), RETRY_AFTER_CAP_S)


def _text(content: Any) -> str:
    """The content as one string: servers send a string, null, one part, or a list of parts (some without text)."""
    match content:
        case str():
            return content
        case {"text": str(text)}:
            return text
        case None | {"type": _}:
            return ""
        case list():
            return "".join(map(_text, content))
    raise ValueError("content of an unknown type")
