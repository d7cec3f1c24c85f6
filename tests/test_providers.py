"""Whole sessions against a chat server on loopback, with the real SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from eval_kit import make_project, run, stored
from loopback import Answer, LoopbackServer

KEY = "sk-very-secret-0123456789"
MODELS = pytest.mark.parametrize("spec", ["openai:tiny", "together:tiny"])


def fix(body: dict[str, Any]) -> str:
    """Reads the program that the goal names, writes it corrected, and is done."""
    messages = body["messages"]
    path = re.search(r"python_programs/\w+\.py", messages[1]["content"])
    assert path is not None
    match len(messages):
        case 2:
            action = {"type": "tool_call", "name": "read_file", "args": {"rel_path": path[0], "max_chars": 999}}
        case 4:
            source = messages[3]["content"].removeprefix("[tool_result]\n").replace("n - 1", "n + 1")
            action = {"type": "tool_call", "name": "write_file", "args": {"rel_path": path[0], "content": source}}
        case _:
            action = {"type": "final", "summary": "plus, not minus", "changes": []}
    return json.dumps(action)


@pytest.fixture
def server(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    make_project(pytester)
    for name in ("TOGETHER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    with LoopbackServer(respond=fix, models=["tiny"], api_key=KEY) as server:
        yield server


@MODELS
@pytest.mark.parametrize("n", ["-n0", "-n2"])
def test_a_served_model_is_evaluated_and_its_key_is_nowhere(
    pytester: pytest.Pytester, server: LoopbackServer, spec: str, n: str
) -> None:
    result = run(
        pytester, n, f"--model={spec}", f"--base-url={server.url}", "--seed=5", "--price=1,2", "--report=r.json"
    )
    result.assert_outcomes(passed=4)
    rows = stored(pytester, "SELECT success, steps, prompt_tokens > 0, cost_usd > 0 FROM rollouts")
    assert rows == [(True, 3, True, True)] * 4
    result.stdout.fnmatch_lines([f"{spec} *4 *100.0 %*$*"])
    assert {chat["seed"] for chat in server.chats} == {5}
    assert KEY not in result.stdout.str() + result.stderr.str()
    for path in pytester.path.rglob("*"):
        assert path.is_dir() or path.name.endswith(".pyc") or KEY.encode() not in path.read_bytes(), path


def test_a_recorded_run_is_replayed_without_a_server(pytester: pytest.Pytester, server: LoopbackServer) -> None:
    run(pytester, "--model=openai:tiny", f"--base-url={server.url}").assert_outcomes(passed=4)
    asked = len(server.chats)
    run(pytester, "-n2", "--model=replay:last", "--test-policy=final").assert_outcomes(passed=4)
    assert len(server.chats) == asked
    raw = stored(
        pytester,
        "SELECT task_id, step, count(*), count(DISTINCT raw) FROM steps JOIN rollouts USING (rollout_id) GROUP BY ALL",
    )
    assert {(count, distinct) for _, _, count, distinct in raw} == {(2, 1)}


def test_busy_answers_are_retried_and_nothing_is_lost(pytester: pytest.Pytester, server: LoopbackServer) -> None:
    server.script(*[Answer(status=status, headers={"Retry-After": "0"}) for status in (429, 503, 500)])
    run(pytester, "--model=openai:tiny", f"--base-url={server.url}", "-k", "alpha").assert_outcomes(passed=1)
    assert stored(pytester, "SELECT outcome, success FROM rollouts") == [("final", True)]


def test_a_server_that_gives_up_half_way_makes_errors_not_failures(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(pytester)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answered = []

    def respond(body: dict[str, Any]) -> Any:
        answered.append(body)
        return fix(body) if len(answered) <= 4 else Answer(status=503, headers={"Retry-After": "0"})

    with LoopbackServer(respond=respond, models=["tiny"]) as server:
        result = run(pytester, "--model=openai:tiny", f"--base-url={server.url}", "--retries=1", "--concurrency=1")
    result.assert_outcomes(passed=1, errors=3)
    assert stored(pytester, "SELECT outcome, counted, count(*) FROM rollouts GROUP BY ALL ORDER BY ALL") == [
        ("final", True, 1),
        ("provider_error", False, 3),
    ]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--model=openai:tiny", "--base-url=http://127.0.0.1:9"], "*127.0.0.1:9*"),
        (["--model=openai:tiny"], "*--base-url*"),
        (["--model=together:tiny"], "*TOGETHER_API_KEY*"),
        (["--model=openai:nobody", "--base-url=URL"], "*nobody*"),
        (["--model=orcale"], "*TOGETHER_API_KEY*; --model=orcale was taken for together:orcale, *oracle*"),
        (["--model=novice:"], "*novice*"),
        (["--model=replay:gone"], "*gone*"),
        (["--model=repair:x"], "*repair*"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_usage_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, args: list[str], says: str
) -> None:
    make_project(pytester)
    for name in ("TOGETHER_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "TOGETHER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with LoopbackServer(respond=lambda body: Answer("no such model", status=404), models=["tiny"]) as server:
        result = run(pytester, *[arg.replace("URL", server.url) for arg in args])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert len([line for line in result.stderr.lines if line.strip()]) == 1
    assert not (pytester.path / ".repoagent").exists()
