"""The together and openai providers: the real SDK against a real server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from loopback import Answer, LoopbackServer

from pytest_repoagent import pace
from pytest_repoagent.errors import ContextOverflow, ModelConfigError, ProviderError, RepoAgentError
from pytest_repoagent.models import openai, retries, together, wire
from pytest_repoagent.models.base import Model, ModelContext, Reply, RolloutKey, Usage
from pytest_repoagent.protocol.actions import Message

KEY = "key-0123456789abcdef"
PROVIDERS = {"together": together.create, "openai": openai.create}
MESSAGES: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": "two words"}]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("TOGETHER_BASE_URL", "TOGETHER_CUSTOM_HEADERS", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds the model wanted to sleep between attempts; it does not."""
    seconds: list[float] = []
    monkeypatch.setattr(retries, "sleep", seconds.append)
    monkeypatch.setattr(pace, "sleep", seconds.append)
    return seconds


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def build(provider: str, url: str | None, name: str = "org/m", *, timeout_s: float = 10.0, retries: int = 2) -> Model:
    def unused(_: str) -> Any:
        raise AssertionError("chat models need neither fixes nor other models")

    context = ModelContext(
        temperature=0.5,
        max_tokens=64,
        base_url=url,
        request_timeout_s=timeout_s,
        retries=retries,
        trace_root=Path("unused"),
        known_fix=unused,
        build=unused,
    )
    return PROVIDERS[provider](name, context)


def ask(model: Model, seed: int = 7) -> Reply:
    return model.start(RolloutKey("quixbugs/gcd", "spec", 0, seed)).reply(MESSAGES)


def failure(call: Callable[[], object]) -> RepoAgentError:
    """The error of ``call``, after looking for the key all over it: chain, arguments, local variables of its frames."""
    with pytest.raises(RepoAgentError) as caught:
        call()
    error: BaseException | None = caught.value
    while error is not None:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert KEY not in "".join(shown.format()) + repr(error.args) + repr(vars(error))
        assert isinstance(error, RepoAgentError), "an SDK exception, whose request holds the key, is on the chain"
        error = error.__cause__ or error.__context__
    assert "\n" not in str(caught.value)
    return caught.value


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What is asked, and where


def test_request(provider: str) -> None:
    with LoopbackServer() as server:
        reply = ask(build(provider, server.url))
    assert reply == Reply("ok", "stop", Usage(3, 1), {})
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = {"model": "org/m", "messages": MESSAGES, "temperature": 0.5, "max_tokens": 64, "seed": 7, "n": 1}
    if provider == "together":
        body["context_length_exceeded_behavior"] = "error"
    assert request.json == body


@pytest.mark.parametrize(
    ("provider", "given", "called"),
    [
        ("together", "", "/v1"),
        ("together", "/", "/v1"),
        ("together", "/v1", "/v1"),
        ("together", "/v1/", "/v1"),
        ("openai", "", "/v1"),
        ("openai", "/", "/v1"),
        ("openai", "/v1", "/v1"),
        ("openai", "/v1/", "/v1"),
        ("openai", "/v1beta/openai", "/v1beta/openai"),
        ("openai", "/v1beta/openai/", "/v1beta/openai"),
    ],
)
def test_base_url(provider: str, given: str, called: str) -> None:
    with LoopbackServer() as server:
        model = build(provider, server.url + given, "loopback/model")
        model.check()
        ask(model)
    assert [request.path for request in server.requests] == [f"{called}/models", f"{called}/chat/completions"]


@pytest.mark.parametrize("variable", ["TOGETHER_BASE_URL", "OPENAI_BASE_URL"])
def test_base_url_of_the_environment_gives_way_to_the_setting(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    provider = variable.partition("_")[0].lower()
    with LoopbackServer() as server, LoopbackServer() as other:
        monkeypatch.setenv(variable, f"{server.url}/v1")
        ask(build(provider, None))
        ask(build(provider, other.url))
    assert [len(server.chats), len(other.chats)] == [1, 1]


@pytest.mark.parametrize("blank", [None, "", " "])
def test_together_default_host_through_the_proxy(monkeypatch: pytest.MonkeyPatch, blank: str | None) -> None:
    if blank is not None:
        monkeypatch.setenv("TOGETHER_BASE_URL", blank)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(20)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        heard: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(4096).splitlines()[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        error = failure(lambda: ask(build("together", None, retries=0)))
        thread.join()
    assert heard == [b"CONNECT api-inference.together.ai:443 HTTP/1.1"]
    assert "cannot reach https://api-inference.together.ai" in str(error)


def test_loopback_is_not_asked_of_a_proxy(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with LoopbackServer() as server:
        assert ask(build(provider, server.url)).text == "ok"
        assert ask(build(provider, server.url.replace("127.0.0.1", "localhost"))).text == "ok"


def test_openai_servers_never_see_what_is_meant_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("TOGETHER_CUSTOM_HEADERS", f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}")
    with LoopbackServer() as server:
        model = build("openai", server.url)
        model.check()
        ask(model)
    assert len(server.requests) == 3
    assert KEY not in repr(server.requests)


def test_half_a_surrogate_pair_is_sent_as_a_question_mark(provider: str) -> None:
    with LoopbackServer(lambda body: Answer(body=r'{"choices": [{"message": {"content": "\ud83d!"}}]}')) as server:
        conversation = build(provider, server.url).start(RolloutKey("t", "m", 0, 0))
        text = conversation.reply(MESSAGES).text
        assert text == "\ud83d!"
        conversation.reply([*MESSAGES, {"role": "assistant", "content": text}])
    assert server.chats[1]["messages"][2]["content"] == "?!"


@pytest.mark.parametrize(
    ("provider", "name", "url", "changes", "said"),
    [
        ("together", "m", None, {"TOGETHER_API_KEY": None}, "TOGETHER_API_KEY is not set"),
        ("together", "m", None, {"TOGETHER_API_KEY": " "}, "TOGETHER_API_KEY is not set"),
        ("together", "m", None, {"TOGETHER_API_KEY": "abc def"}, "TOGETHER_API_KEY holds a blank"),
        ("openai", "m", "http://h", {"OPENAI_API_KEY": "\u201cabc\u201d"}, "OPENAI_API_KEY holds a blank"),
        ("openai", "m", None, {}, "give --base-url or set OPENAI_BASE_URL"),
        ("openai", "m", None, {"OPENAI_BASE_URL": ""}, "give --base-url or set OPENAI_BASE_URL"),
        ("openai", "", "http://h", {}, "needs the name of a model"),
        ("together", "", None, {}, "needs the name of a model"),
        ("openai", "m", "localhost:8000", {}, "must be http"),
        ("openai", "m", "http://", {}, "must be http"),
        ("openai", "m", "http://h:port", {}, "must be http"),
        ("openai", "m", "http://h/v1?a=b", {}, "must be http"),
        ("openai", "m", f"http://user:{KEY}@h/v1", {}, "without a password"),
        ("together", "m", f"http://user:{KEY}@h/v1", {}, "without a password"),
    ],
)
def test_bad_configuration(
    monkeypatch: pytest.MonkeyPatch, provider: str, name: str, url: str | None, changes: dict[str, Any], said: str
) -> None:
    for variable, value in changes.items():
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    with pytest.raises(ModelConfigError, match=said) as caught:
        build(provider, url, name)
    assert KEY not in str(caught.value)


def test_a_local_server_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    with LoopbackServer() as server:
        assert ask(build("openai", server.url, "qwen2.5:7b")).text == "ok"
    assert server.chats[0]["model"] == "qwen2.5:7b"


# What comes back


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("  {}\n", "  {}\n"),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "x"}, {"type": "text", "text": "b"}], "ab"),
        (["a", {"text": "b"}], "ab"),
        ({"type": "text", "text": "a"}, "a"),
        ([], ""),
    ],
)
def test_content(content: Any, text: str) -> None:
    with LoopbackServer(lambda body: Answer(content)) as server:
        assert ask(build("together", server.url)).text == text


@pytest.mark.parametrize(("sent", "read"), [("eos", "stop"), ("length", "length"), ("odd", "odd"), (None, None)])
def test_finish_reason(sent: str | None, read: str | None) -> None:
    with LoopbackServer(lambda body: Answer(finish_reason=sent)) as server:
        assert ask(build("together", server.url)).finish_reason == read


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": 3}}])
def test_missing_usage(usage: dict[str, Any]) -> None:
    body = {"choices": [{"message": {"content": "a"}}], **usage}
    with LoopbackServer(lambda _: Answer(body=body)) as server:
        assert ask(build("together", server.url)) == Reply("a")


def test_tool_calls_are_recorded() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "grep", "arguments": "{}"}}]
    with LoopbackServer(lambda _: Answer(None, "tool_calls", {"tool_calls": calls})) as server:
        reply = ask(build("together", server.url))
    assert (reply.text, reply.finish_reason, reply.extra) == ("", "tool_calls", {"tool_calls": calls})


wire_words = st.sampled_from(["choices", "message", "content", "text", "type", "finish_reason", "usage", "data", "id"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(wire_words, inner, max_size=3),
)


@given(json_values | st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"message": json_values}))}))
def test_any_json_is_a_reply_or_a_value_error(data: Any) -> None:
    for read in (wire.read_completion, wire.read_models):
        with contextlib.suppress(ValueError):
            read(data)


ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(ascii_text | st.from_regex(r"-?[0-9]+ [A-Z][a-z]{2} [0-9]+ [0-9:]+ [ -~]*", fullmatch=True))
@example("Mon, 01 Jan 99999999999 00:00:00 GMT")
def test_any_retry_after_is_a_sane_wait(value: str) -> None:
    response = httpx.Response(429, headers={"retry-after": value})
    waits = wire.retry_after_s(response)
    assert waits is None or 0.0 <= waits <= wire.RETRY_AFTER_CAP_S


# What goes wrong


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_passing_trouble_is_retried(provider: str, naps: list[float], status: int) -> None:
    with LoopbackServer() as server:
        server.script(Answer("busy", status=status), Answer("busy", status=status), Answer("fine"))
        reply = ask(build(provider, server.url))
    assert (reply.text, reply.extra) == ("fine", {"retries": 2})
    assert 0.2 <= naps[0] <= 0.5
    assert (0.2 if status == 429 else 0.5) <= naps[1] <= 1.0
    assert server.chats[0] == server.chats[2]


def test_giving_up(provider: str) -> None:
    with LoopbackServer(lambda _: Answer("over\nloaded " + "x" * 500, status=503)) as server:
        error = failure(lambda: ask(build(provider, server.url, retries=3)))
    assert type(error) is ProviderError
    assert len(server.chats) == 4
    assert str(error) == (
        f"{provider}:org/m: {server.url}/v1/chat/completions answered 503: over loaded {'x' * 188} "
        "(gave up after 4 attempts)"
    )


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("90", 90, 90),
        ("600", 120, 120),
        ("-3", 0, 0),
        ("inf", 120, 120),
        ("nan", 0, 0),
        pytest.param(http_date(3600), 120, 120, id="in an hour"),
        pytest.param(http_date(-60), 0, 0, id="a minute ago"),
        ("soon", 0.25, 0.5),
        ("", 0.25, 0.5),
    ],
)
def test_retry_after(naps: list[float], value: str, least: float, most: float) -> None:
    with LoopbackServer() as server:
        server.script(Answer(status=429, headers={"Retry-After": value}))
        ask(build("together", server.url))
    assert len(naps) <= 1
    assert least - 0.1 <= sum(naps) <= most


def test_retry_after_date_near() -> None:
    response = httpx.Response(503, headers={"Retry-After": http_date(60)})
    waits = wire.retry_after_s(response)
    assert waits is not None
    assert 0 < waits <= 60


def test_backoff_grows_to_half_a_minute(naps: list[float]) -> None:
    with LoopbackServer(lambda _: Answer(status=500)) as server:
        failure(lambda: ask(build("together", server.url, retries=12)))
    for retried, nap in enumerate(naps):
        longest = min(0.5 * 2**retried, 32)
        assert longest / 2 <= nap <= longest
    assert len(naps) == 12


HTML = Answer(body="<html>Sign in</html>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        Answer(body="<html>", headers={"Content-Type": "application/json"}),
        Answer(body='{"choices": [{"mess'),
        Answer(body=b"\xff\xfe\x00"),
        Answer(body=b""),
        Answer(body="[" * 100_000),
        Answer(body={"choices": []}),
        Answer(body={"choices": None}),
        Answer(body={"choices": [{"index": 0}]}),
        Answer(body={"choices": [{"message": {"content": 5}}]}),
        Answer(body=["a"]),
        Answer(body={"error": {"message": "worker died"}}),
        Answer(body={"error": "worker died"}),
        Answer(body={"error": {"message": "upstream", "code": 502}}),
        Answer(fault="truncate"),
        Answer(fault="reset"),
        Answer(delay_s=30),
    ],
    ids=lambda answer: str(answer.fault or answer.delay_s or str(answer.body)[:40]),
)
def test_broken_answers_are_retried(provider: str, answer: Answer) -> None:
    with LoopbackServer() as server:
        model = build(provider, server.url, timeout_s=1.0 if answer.delay_s else 10.0, retries=1)
        server.script(answer, Answer("fine"))
        assert ask(model).text == "fine"
        server.script(answer, answer)
        error = failure(lambda: ask(model))
    assert type(error) is ProviderError
    assert str(error).startswith(f"{provider}:org/m: ")
    assert str(error).endswith(" (gave up after 2 attempts)")


def test_timeout_and_reset_are_named(provider: str) -> None:
    with LoopbackServer() as server:
        server.script(Answer(delay_s=30), Answer(fault="reset"), HTML)
        hasty = build(provider, server.url, timeout_s=0.2, retries=0)
        assert "timed out" in str(failure(lambda: ask(hasty)))
        model = build(provider, server.url, retries=0)
        assert "reset" in str(failure(lambda: ask(model)))
        assert "answered 200 with an unusable body: <html>Sign in</html>" in str(failure(lambda: ask(model)))


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answer("bad seed", status=400), ProviderError, "answered 400: bad seed"),
        (Answer("what", status=405), ProviderError, "answered 405: what"),
        (Answer("too big a body", status=413), ProviderError, "answered 413: too big a body"),
        (Answer(body={"detail": [{"msg": "no n"}]}, status=422), ProviderError, "no n"),
        (Answer(status=301, body=""), ProviderError, "answered 301"),
        (Answer("no", status=401), ModelConfigError, "the key was rejected: check"),
        (Answer("no", status=403), ModelConfigError, "the key was rejected: check"),
        (Answer("broke", status=402), ModelConfigError, "cannot pay"),
        (Answer(body={"error": {"code": "insufficient_quota"}}, status=429), ModelConfigError, "cannot pay"),
        (Answer("unknown model", status=404), ModelConfigError, "model not found"),
        (Answer(body={"error": {"message": "no", "code": 401}}), ModelConfigError, "the key was rejected"),
    ],
)
def test_lasting_trouble_is_not_retried(provider: str, answer: Answer, kind: type[Exception], said: str) -> None:
    with LoopbackServer(lambda _: answer) as server:
        error = failure(lambda: ask(build(provider, server.url)))
    assert type(error) is kind
    assert said in str(error)
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer("This model's maximum context length is 4096 tokens. However, you requested 5000.", status=400),
        Answer("The decoder prompt (length 9) is longer than the maximum model length of 8.", status=400),
        Answer("`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000", status=422),
        Answer("the request exceeds the available context size", status=400),
        Answer("The input token count (9) exceeds the maximum number of tokens allowed (8).", status=400),
        Answer("prompt is too long", status=413),
        Answer("input too long for the context window", status=403),
        Answer(body={"error": {"message": "no", "code": "context_length_exceeded"}}, status=400),
        Answer(body={"error": {"message": "maximum context length is 8"}}),
    ],
)
def test_context_overflow(answer: Answer) -> None:
    with LoopbackServer(lambda _: answer) as server:
        error = failure(lambda: ask(build("together", server.url)))
    assert type(error) is ContextOverflow
    assert len(server.chats) == 1


def test_unreachable(provider: str) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    error = failure(lambda: ask(build(provider, url)))
    assert type(error) is ProviderError
    assert f"cannot reach {url}/v1/chat/completions" in str(error)
    assert "refused" in str(error)


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 413, 429, 500])
def test_a_server_that_echoes_the_key(status: int) -> None:
    with LoopbackServer(lambda _: Answer(body={"error": {"message": f"wrong: {KEY}"}}, status=status)) as server:
        server.models_answer = Answer(f"{KEY}", status=status)
        model = build("together", server.url)
        assert "[key]" in str(failure(lambda: ask(model)))
        if 400 <= status < 405:
            assert "[key]" in str(failure(model.check))
    assert KEY not in repr(model) + repr(vars(model))


def test_ctrl_c_passes_through_a_request(provider: str) -> None:
    def interrupt(_: Any) -> Answer:
        os.kill(os.getpid(), signal.SIGINT)
        return Answer(delay_s=30)

    with LoopbackServer(interrupt) as server:
        with pytest.raises(KeyboardInterrupt):
            ask(build(provider, server.url))
        assert len(server.chats) == 1


# Checking beforehand


def test_check_of_a_listed_model() -> None:
    with LoopbackServer(models=["a", "org/m"]) as server:
        build("together", server.url).check()
    assert [request.path for request in server.requests] == ["/v1/models"]


def test_check_reads_togethers_bare_list() -> None:
    with LoopbackServer(models_answer=Answer(body=[{"id": "org/m"}])) as server:
        build("together", server.url).check()
    assert server.chats == []


@pytest.mark.parametrize(
    "listed",
    [
        Answer(body={"data": [{"id": "other"}]}),
        Answer(status=403),
        Answer(status=404),
        Answer(status=405),
        Answer(status=429),
        Answer(status=501),
        HTML,
    ],
)
def test_check_of_an_unlisted_model_asks_for_one_token(provider: str, listed: Answer) -> None:
    with LoopbackServer(models_answer=listed) as server:
        build(provider, server.url).check()
    assert [body["max_tokens"] for body in server.chats] == [1]


@pytest.mark.parametrize("status", [400, 404])
def test_check_of_an_unknown_model_names_near_ones(provider: str, status: int) -> None:
    names = ["x/y", "org/m1", "org/m2", "org/m3", "org/m4", "org/m5", "org/m6"]
    with LoopbackServer(lambda _: Answer("no such model", status=status), models=names) as server:
        error = failure(build(provider, server.url, "org/m0").check)
    assert type(error) is ModelConfigError
    assert f"{provider}:org/m0" in str(error)
    served = str(error).partition("It serves ")[2].rstrip(".").split(", ")
    assert len(served) == 5
    assert set(served) <= set(names[1:])


def test_check_without_near_names_shows_what_is_there() -> None:
    with LoopbackServer(lambda _: Answer("no", status=404), models=["zzzzzzzzzz"]) as server:
        assert "It serves zzzzzzzzzz." in str(failure(build("together", server.url).check))


def test_check_leaves_passing_trouble_to_the_rollouts(naps: list[float]) -> None:
    with LoopbackServer(lambda _: Answer(status=503), models_answer=Answer(status=503)) as server:
        build("together", server.url, retries=5).check()
    assert len(server.requests) == 4
    assert len(naps) == 2


@pytest.mark.parametrize("listed", [None, Answer(status=404)])
def test_check_of_a_wrong_key(provider: str, listed: Answer | None) -> None:
    with LoopbackServer(lambda _: Answer(status=401), models_answer=listed) as server:
        server.api_key = None if listed else "another-key"
        error = failure(build(provider, server.url).check)
    assert type(error) is ModelConfigError
    assert "the key was rejected" in str(error)
    assert len(server.requests) == (2 if listed else 1)


def test_check_of_an_unreachable_server(provider: str, naps: list[float]) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    error = failure(build(provider, url).check)
    assert type(error) is ModelConfigError
    assert f"cannot reach {url}/v1/models" in str(error)
    assert len(naps) == 1


def test_check_of_a_server_that_hangs(provider: str) -> None:
    with LoopbackServer(models_answer=Answer(delay_s=30)) as server:
        error = failure(build(provider, server.url, timeout_s=0.5, retries=0).check)
    assert type(error) is ModelConfigError
    assert "timed out" in str(error)


# Threads, forks, imports


def test_eight_threads_share_one_model(provider: str) -> None:
    def respond(body: Any) -> str:
        together_now.wait(timeout=60)
        return f"reply to {body['seed']}"

    together_now = threading.Barrier(8)
    with LoopbackServer(respond) as server, ThreadPoolExecutor(8) as pool:
        model = build(provider, server.url, timeout_s=60)
        replies = list(pool.map(lambda seed: ask(model, seed), range(32)))
    assert [reply.text for reply in replies] == [f"reply to {seed}" for seed in range(32)]
    assert len(server.chats) == 32


SCRIPT = """
import os, sys
from pathlib import Path
from pytest_repoagent.models.base import ModelContext, RolloutKey
from pytest_repoagent.models import {provider}
heavy = {{"together", "httpx"}}
assert not heavy & sys.modules.keys()
model = {provider}.create("org/m", ModelContext(0.0, 8, {url!r}, 20.0, 0, Path("."), {{}}.get, {{}}.get))
assert not heavy & sys.modules.keys()
{then}
"""
FORK = """
def ask(seed):
    return model.start(RolloutKey("t", "m", 0, seed)).reply([{"role": "user", "content": "q"}]).text
assert ask(1) == "reply to 1"
child = os.fork()
assert [ask(10 * os.getpid() + i) for i in range(20)] == [f"reply to {10 * os.getpid() + i}" for i in range(20)]
if not child:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.parametrize("then", ["", FORK], ids=["imports-nothing", "fork"])
def test_in_a_process_of_its_own(provider: str, then: str) -> None:
    with LoopbackServer(lambda body: f"reply to {body['seed']}") as server:
        script = SCRIPT.format(provider=provider, url=server.url, then=then)
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(server.chats) == (41 if then else 0)


def test_the_trace_can_hold_every_extra() -> None:
    with LoopbackServer(lambda _: Answer(None, message={"tool_calls": [{"id": "1"}]})) as server:
        server.script(Answer(status=500))
        assert json.loads(json.dumps(ask(build("together", server.url)).extra)) == {
            "tool_calls": [{"id": "1"}],
            "retries": 1,
        }
