"""Chat models behind an HTTP server: one request, the retries it deserves, and what each failure means.

All traffic goes through the Together SDK with its own retries off: they do not cover a broken body or a
``Retry-After`` above a minute. Errors are raised outside ``except`` blocks, so that no SDK exception, whose request
holds the key, hangs on theirs.
"""

from __future__ import annotations

import difflib
import os
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from pytest_repoagent.errors import ContextOverflow, ModelConfigError, ProviderError, RepoAgentError
from pytest_repoagent.models.base import Conversation, ModelContext, Reply, RolloutKey
from pytest_repoagent.models.retries import Failure, persist
from pytest_repoagent.models.wire import read_complaint, read_completion, read_models, retry_after_s
from pytest_repoagent.pace import Pacing
from pytest_repoagent.protocol.actions import Message

if TYPE_CHECKING:
    import httpx
    from together import Together

T = TypeVar("T")

_LIST_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 10.0
_SHORTEST_SECRET = 8
_CHARS_PER_TOKEN = 4  # about, until the provider has counted
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_OVERFLOW = re.compile(
    r"context.?(length|window|size)|maximum (context|model length|number of tokens)|\+ .?max_new_tokens|too long",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Server:
    """Where chat requests go and how they are spelled there.

    Attributes:
        provider: the word before the colon in a model's spec.
        key: the API key, or a placeholder for a server that wants none.
        key_variable: the environment variable a key is taken from.
        base_url: what the SDK puts before its paths; None for its own default.
        models_path: path of the list of models, below ``base_url``.
        send: makes one chat request out of a request body.
        extra_body: what this provider's requests carry besides the common fields.
    """

    provider: str
    key: str = field(repr=False)
    key_variable: str
    base_url: str | None
    models_path: str
    send: Callable[[Together, dict[str, Any]], httpx.Response]
    extra_body: Mapping[str, Any] = field(default_factory=dict)


class ChatModel:
    """One model on one server. Threads share its connections; a forked child opens its own."""

    concurrency = 16

    def __init__(self, server: Server, name: str, context: ModelContext) -> None:
        """Remember the settings; nothing is imported or opened before the first request.

        Raises:
            ModelConfigError: the name is empty, or the key cannot be one.
        """
        if not name:
            raise ModelConfigError(f"{server.provider} needs the name of a model: {server.provider}:NAME.")
        check_key(server.key, server.key_variable)
        self._server = server
        self._name = name
        self._context = context
        self._pace = context.pacing.of(server.provider)
        self._clients: dict[int, Together] = {}

    def check(self) -> None:
        """Ask for the list of models and, where it does not name this one, for one token.

        What may pass by itself (429, 5xx) is left to the rollouts and their retries.

        Raises:
            ModelConfigError: unreachable server, rejected key, unknown model.
        """
        pace, retries = Pacing().of(self._server.provider), min(1, self._context.retries)
        listed, _ = persist(self._list, pace, retries)
        names = [] if isinstance(listed, Failure) else listed
        if self._name in names:
            return
        if isinstance(listed, Failure) and listed.status in (None, 401, 402):
            raise ModelConfigError(str(listed.error))
        body = self._body([{"role": "user", "content": "Hi"}], seed=0) | {"max_tokens": 1}
        answer, _ = persist(lambda: self._chat(body), pace, retries)
        if isinstance(answer, Failure) and answer.status in (None, 400, 401, 402, 403, 404):
            near = difflib.get_close_matches(self._name, names, n=5, cutoff=0.5) or names[:5]
            served = f" It serves {', '.join(near)}." if near and answer.status in (400, 404) else ""
            raise ModelConfigError(f"{answer.error}{served}")

    def start(self, key: RolloutKey) -> Conversation:
        """Open the conversation of one rollout; all it keeps is the seed."""
        return _ChatConversation(self, key.seed)

    def ask(self, messages: Sequence[Message], seed: int) -> Reply:
        """Get one reply; ``extra`` says how many retries it took and which tool calls it made.

        A 429 is waited out, however many there are, as long as the provider answers anybody.

        Raises:
            ContextOverflow: the messages do not fit the model's context.
            ProviderError: no usable answer after the retries.
            ModelConfigError: the key or the model's name was refused, or the account cannot pay.
        """
        body = self._body(messages, seed)
        tokens = sum(len(message["content"]) for message in messages) // _CHARS_PER_TOKEN
        answer, effort = persist(lambda: self._chat(body), self._pace, self._context.retries, tokens, patient=True)
        if isinstance(answer, Reply):
            extra = {**answer.extra, "retries": effort.retries} if effort.retries else answer.extra
            return replace(answer, extra=extra, waited_s=effort.waited_s)
        if answer.retry:
            raise ProviderError(f"{answer.error} (gave up after {effort.retries + 1} attempts)")
        raise answer.error

    def _body(self, messages: Sequence[Message], seed: int) -> dict[str, Any]:
        return {
            "model": self._name,
            "messages": [{"role": m["role"], "content": _encodable(m["content"])} for m in messages],
            "temperature": self._context.temperature,
            "max_tokens": self._context.max_tokens,
            "seed": seed,
            "n": 1,
            **self._server.extra_body,
        }

    def _chat(self, body: dict[str, Any]) -> Reply | Failure:
        return self._attempt(lambda client: self._server.send(client, body), read_completion)

    def _list(self) -> list[str] | Failure:
        from httpx import Response
        from together import RequestOptions

        options: RequestOptions = {"timeout": min(_LIST_TIMEOUT_S, self._context.request_timeout_s)}
        path = self._server.models_path
        return self._attempt(lambda client: client.get(path, cast_to=Response, options=options), read_models)

    def _attempt(self, send: Callable[[Together], httpx.Response], read: Callable[[Any], T]) -> T | Failure:
        from together import APIConnectionError, APIStatusError, APITimeoutError

        try:
            response = send(self._client())
        except APIStatusError as error:
            return self._refused(error.response)
        except APIConnectionError as error:
            reason = "timed out" if isinstance(error, APITimeoutError) else error.__cause__ or error
            return Failure(ProviderError(self._say(f"cannot reach {error.request.url}", reason)), retry=True)
        try:
            data = response.json()
            if isinstance(data, dict) and data.get("error"):
                return self._refused(response)
            return read(data)
        except (ValueError, RecursionError):
            said = self._say(f"{response.url} answered {response.status_code} with an unusable body", response.text)
            return Failure(ProviderError(said), retry=True, status=response.status_code)

    def _refused(self, response: httpx.Response) -> Failure:
        """What an error answer means; one sent with status 200 may carry the real status as its code."""
        complaint, code = read_complaint(response)
        status = response.status_code
        if code == "insufficient_quota":
            status = 402
        elif status < 300 and isinstance(code, int):
            status = code
        said = self._say(f"{response.url} answered {status}", complaint)
        if status in (200, 400, 403, 413, 422) and _OVERFLOW.search(f"{code} {complaint}"):
            return Failure(ContextOverflow(said), retry=False, status=status)
        error: RepoAgentError
        match status:
            case 401 | 403:
                error = ModelConfigError(f"{said}; the key was rejected: check {self._server.key_variable}.")
            case 402:
                error = ModelConfigError(f"{said}; the account of {self._server.key_variable} cannot pay for it.")
            case 404:
                error = ModelConfigError(f"{said}; model not found: check its name and the base URL.")
            case _:
                error = ProviderError(said)
        retry = status in (408, 409, 429) or status >= 500 or status < 300
        return Failure(error, retry, status, retry_after_s(response))

    def _say(self, what: str, detail: object) -> str:
        """One line for the user, the server's words clipped and without the key."""
        text = without_key(detail, self._server.key)
        spec = f"{self._server.provider}:{self._name}"
        return f"{spec}: {what}: {text[:200]}" if text else f"{spec}: {what}"

    def _client(self) -> Together:
        pid = os.getpid()
        if pid not in self._clients:
            self._clients.setdefault(pid, self._connect())
        return self._clients[pid]

    def _connect(self) -> Together:
        client = connect(self._server.key, self._server.base_url, self._context.request_timeout_s)
        weakref.finalize(self, _close, client, os.getpid())
        if self._server.provider != "together":
            client._custom_headers = {}  # TOGETHER_CUSTOM_HEADERS may hold secrets meant for Together
        return client


@dataclass(frozen=True)
class _ChatConversation:
    model: ChatModel
    seed: int

    def reply(self, messages: Sequence[Message]) -> Reply:
        return self.model.ask(messages, self.seed)


def connect(key: str, base_url: str | None, timeout_s: float) -> Together:
    """The SDK's client, which never repeats a request by itself; connections open when they are needed."""
    from httpx import Limits
    from together import DefaultHttpxClient, Timeout, Together

    timeout = Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
    proxies = dict.fromkeys(_LOOPBACK)  # the environment's serve other hosts
    unlimited = Limits(max_connections=None, max_keepalive_connections=None)  # there is one for each rollout in flight
    http = DefaultHttpxClient(mounts=proxies, limits=unlimited, timeout=timeout)
    return Together(api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=http)


def without_key(detail: object, key: str) -> str:
    """What a server or the SDK said, on one line and without the key."""
    text = " ".join(str(detail).split())
    if len(key) >= _SHORTEST_SECRET:  # a placeholder such as "none" is a word of other texts
        text = text.replace(key, "[key]")
    return text


def check_key(key: str, variable: str) -> None:
    """Refuse what no HTTP header can carry.

    Raises:
        ModelConfigError: the key cannot be one.
    """
    if not re.fullmatch(r"[!-~]+", key):
        raise ModelConfigError(
            f"{variable} holds a blank, a line break or a character outside ASCII, as no key does: set it again."
        )


def split_base_url(text: str) -> SplitResult:
    """Take a base URL apart; the URL itself is kept out of the error, since it may hold a password.

    Raises:
        ModelConfigError: it is not ``http(s)://HOST[:PORT][/PATH]``.
    """
    try:
        url = urlsplit(text)
        plain = url.port != 0 and not (url.username or url.password or url.query or url.fragment)
    except ValueError:
        plain = False
    if not (plain and url.scheme in ("http", "https") and url.hostname):
        raise ModelConfigError("The base URL must be http(s)://HOST[:PORT][/PATH], without a password or a query.")
    return url


def _encodable(text: str) -> str:
    """UTF-8 cannot carry half a surrogate pair, which a model may have written; the server sees a ``?``."""
    return text.encode(errors="replace").decode()


def _close(client: Together, pid: int) -> None:
    if os.getpid() == pid:
        client.close()
