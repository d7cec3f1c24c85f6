"""A chat server on 127.0.0.1 for tests: real HTTP, scripted answers, every request kept.

    with LoopbackServer() as server:                       # answers "ok" to every chat request
    with LoopbackServer(respond=lambda body: "...") as server:     # the reply's text, made from the request's JSON
    with LoopbackServer(respond=lambda body: Answer(...)) as server:
    server.script(Answer(status=429, headers={"Retry-After": "1"}), Answer("hi"))   # the next requests, in order

Give ``server.url`` as base URL (it has no path; ``/v1`` is added by the models). Chat is ``POST .../chat/completions``
below any prefix, the list of models ``GET .../models``; everything else is 404. ``server.requests`` holds every
request, ``server.chats`` the JSON bodies of the chat requests. An exception in ``respond`` answers 500 and is raised
again when the ``with`` block ends.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Answer:
    """How one request is answered.

    Attributes:
        text: the assistant's content, of any JSON type.
        finish_reason: of the only choice.
        message: more fields of the assistant's message, such as ``tool_calls``.
        status: a status other than 200 sends ``{"error": {"message": text}}``.
        headers: more response headers; they win over the usual ones.
        body: sent as it is instead of all that (str, bytes, or something to make JSON of).
        delay_s: seconds to wait first; the end of the ``with`` block ends the wait.
        fault: ``reset`` breaks the connection instead of answering, ``truncate`` does after half of the body.
    """

    text: Any = "ok"
    finish_reason: str | None = "stop"
    message: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    delay_s: float = 0.0
    fault: Literal["reset", "truncate"] | None = None


@dataclass(frozen=True)
class Request:
    """One request as it came; header names are lower case, ``json`` is None without a body of JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    data: bytes = b""


class LoopbackServer:
    """See the module's text.

    Attributes:
        models: what the list of models names; ``models_answer`` replaces the whole list.
        api_key: any other key is answered 401; None takes all.
    """

    def __init__(
        self,
        respond: Callable[[Any], str | Answer] = lambda body: "ok",
        *,
        models: Sequence[str] = ("loopback/model",),
        models_answer: Answer | None = None,
        api_key: str | None = None,
    ) -> None:
        self.respond = respond
        self.models = models
        self.models_answer = models_answer
        self.api_key = api_key
        self.requests: list[Request] = []
        self.errors: list[Exception] = []
        self.stopping = threading.Event()
        self._script: deque[Answer] = deque()
        self._http = _HTTPServer(("127.0.0.1", 0), _Handler)
        self._http.loopback = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def chats(self) -> list[Any]:
        return [request.json for request in self.requests if request.path.endswith("/chat/completions")]

    def script(self, *answers: Answer) -> None:
        """Answer the next chat requests with these, one each, before ``respond`` is asked again."""
        self._script.extend(answers)

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self.api_key is not None and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return Answer("invalid API key", status=401)
        if request.method == "GET" and request.path.endswith("/models"):
            listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            return self.models_answer or Answer(body=listed)
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return Answer("no such path", status=404)
        try:
            answer = self._script.popleft()
        except IndexError:
            try:
                reply = self.respond(request.json)
            except Exception as error:
                self.errors.append(error)
                return Answer("respond failed", status=500)
            answer = reply if isinstance(reply, Answer) else Answer(reply)
        if answer.body is None and answer.status == 200:
            return replace(answer, body=_completion(request.json, answer))
        return answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        if error is None and self.errors:
            raise self.errors[0]


def _completion(request: Any, answer: Answer) -> dict[str, Any]:
    prompt = sum(len(message["content"].split()) for message in request["messages"])
    reply = len(str(answer.text or "").split())
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": answer.finish_reason,
                "message": {"role": "assistant", "content": answer.text, **answer.message},
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
    }


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 256
    loopback: LoopbackServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what went wrong for the end of the block; a client that went away (a timeout under test) is no news."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.loopback.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HTTPServer

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(length)
        if len(data) < length:  # the client was killed as it asked
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(data) if data and headers.get("content-type") == "application/json" else None
        loopback = self.server.loopback
        answer = loopback.answer(Request(self.command, self.path, headers, body, data))
        loopback.stopping.wait(answer.delay_s)
        if answer.fault == "reset":
            self._reset()
            return
        content: Any = {"error": {"message": answer.text}} if answer.body is None else answer.body
        data = content if isinstance(content, bytes) else _text(content).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **answer.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if answer.fault == "truncate":
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self.wfile.write(data)

    def _reset(self) -> None:
        """Close without lingering: the client gets a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)
