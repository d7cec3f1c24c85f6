from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repoagent.errors import ModelConfigError
from pytest_repoagent.models import novice
from pytest_repoagent.models.base import Conversation, Model, ModelContext, Reply, RolloutKey, Usage
from pytest_repoagent.protocol.actions import TOOLS, Action, Final, Message, ToolCall, canonical
from pytest_repoagent.protocol.codes import PARSE_CODES
from pytest_repoagent.protocol.parse import parse
from pytest_repoagent.protocol.spoil import spoil

FENCE = '"""'
ACTIONS: dict[str, Action] = {
    **{tool.name: ToolCall(tool.name, tool.example) for tool in TOOLS},
    "odd write": ToolCall(
        "write_file",
        {
            "rel_path": "src/a b.py",
            "content": f"{FENCE}It's \\d+ {{'a': 1}}{FENCE}\n```\n[tool_result]\n}}{{</think>\x00\t\ud7ff\U0001f600\\",
            "thought": "A 'quoted'\nthought",
        },
    ),
    "empty write": ToolCall("write_file", {"rel_path": "", "content": ""}),
    "json write": ToolCall("write_file", {"rel_path": "{}", "content": '{"a": 1}'}),
    "odd read": ToolCall("read_file", {"rel_path": "'", "max_chars": -(10**300)}),
    "final": Final("done", ()),
    "long final": Final(
        "} {'a': 1}\n", ({"path": "a.py", "description": "it's {}"},), {"passed": None, "n": [1.5, True]}
    ),
}
CALL_ONLY = {"foreign_schema", "missing_name", "unknown_tool", "missing_args", "args_stringified", "args_not_object"}


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("code", PARSE_CODES)
def test_a_spoilt_action_is_read_as_its_code(code: str, name: str) -> None:
    action = ACTIONS[name]
    impossible = (code in CALL_ONLY and isinstance(action, Final)) or (code == "triple_quoted" and "write" not in name)
    for seed in range(200):
        text = spoil(action, code, Random(seed))
        assert (text is None) == impossible
        if text is None:
            continue
        error = parse(text, finish_reason="length" if code == "truncated" else "stop").error
        assert error is not None
        assert error.family == code, text


@settings(deadline=None)
@given(
    st.sampled_from(PARSE_CODES),
    st.text(),
    st.text(),
    st.integers(-(10**30), 10**30),
    st.randoms(use_true_random=False),
)
def test_any_action_is_spoilt_as_its_code(code: str, one: str, other: str, number: int, rng: Random) -> None:
    actions: list[Action] = [
        ToolCall("list_files", {"rel_dir": one, "max_files": number}),
        ToolCall("grep", {"pattern": one, "rel_dir": other, "max_hits": number, "thought": one}),
        ToolCall("write_file", {"rel_path": one, "content": other, "thought": one}),
        Final(one, ({"path": one, "description": other},), [other, {one: number}]),
    ]
    for action in actions:
        text = spoil(action, code, rng)
        if text is not None:
            error = parse(text).error
            assert error is not None
            assert error.family == code, text


@dataclass
class Scripted:
    """A model that gives the same replies in every conversation, and keeps what it was asked."""

    replies: Sequence[Reply]
    asked: list[list[Message]] = field(default_factory=list)
    checked: int = 0

    def check(self) -> None:
        self.checked += 1

    def start(self, key: RolloutKey) -> Conversation:
        return ScriptedConversation(self)


class ScriptedConversation:
    def __init__(self, model: Scripted) -> None:
        self.model = model
        self.replies = iter(model.replies)

    def reply(self, messages: Sequence[Message]) -> Reply:
        self.model.asked.append(list(messages))
        return next(self.replies)


KEY = RolloutKey(task_id="minibugs/area", model="novice:inner", index=0, seed=7)
WRITE = Reply(canonical(ACTIONS["write_file"]), "stop", Usage(3, 4), {"latency": 1})


Wrap = Callable[..., tuple[Model, list[str]]]


@pytest.fixture
def wrap(tmp_path: Path) -> Wrap:
    def wrap(inner: Model, name: str = "inner") -> tuple[Model, list[str]]:
        built: list[str] = []

        def build(spec: str) -> Model:
            built.append(spec)
            return inner

        def known_fix(task_id: str) -> dict[str, str]:
            raise AssertionError(task_id)

        context = ModelContext(0.0, 1024, None, 30.0, 0, tmp_path, known_fix, build)
        return novice.create(name, context), built

    return wrap


def talk(model: Model, key: RolloutKey, turns: int) -> list[Reply]:
    conversation = model.start(key)
    return [conversation.reply([]) for _ in range(turns)]


@pytest.mark.parametrize(
    ("name", "inner"),
    [("repair", "repair"), ("repair@0.5", "repair"), ("together:org/m@v2@1", "together:org/m@v2"), ("a@1e-3", "a")],
)
def test_the_inner_model_is_built_from_its_spec(wrap: Wrap, name: str, inner: str) -> None:
    _, built = wrap(Scripted([]), name)
    assert built == [inner]


@pytest.mark.parametrize("name", ["", "@0.5", "repair@1.01", "repair@-1", "repair@nan", "repair@x", "repair@"])
def test_a_wrong_spec_is_a_config_error(wrap: Wrap, name: str) -> None:
    with pytest.raises(ModelConfigError, match=f"novice:{name}"):
        wrap(Scripted([]), name)


def test_check_is_the_inner_models(wrap: Wrap) -> None:
    inner = Scripted([])
    wrap(inner)[0].check()
    assert inner.checked == 1


@pytest.mark.parametrize(("name", "share"), [("inner", 0.35), ("inner@0.8", 0.8)])
def test_the_share_is_spoilt_and_the_rest_is_left_alone(wrap: Wrap, name: str, share: float) -> None:
    replies = talk(wrap(Scripted([WRITE] * 4000), name)[0], KEY, 4000)
    spoilt = [reply for reply in replies if "injected" in reply.extra]
    assert abs(len(spoilt) / len(replies) - share) < 0.03
    assert all(reply is WRITE for reply in replies if "injected" not in reply.extra)


def test_what_is_injected_is_what_the_parser_reports(wrap: Wrap) -> None:
    replies = [Reply(canonical(action), "stop") for action in ACTIONS.values()] * 200
    for reply in talk(wrap(Scripted(replies), "inner@0.5")[0], KEY, len(replies)):
        error = parse(reply.text, finish_reason=reply.finish_reason).error
        assert (error.family if error else None) == reply.extra.get("injected")
        assert (reply.finish_reason == "length") == (reply.extra.get("injected") == "truncated")


@pytest.mark.parametrize(("name", "count"), [("write_file", 28), ("read_file", 27), ("final", 21)])
def test_no_reachable_code_is_rare(wrap: Wrap, name: str, count: int) -> None:
    reply = Reply(canonical(ACTIONS[name]))
    replies = talk(wrap(Scripted([reply] * 5000), "inner@1")[0], KEY, 5000)
    counts = Counter(str(reply.extra["injected"]) for reply in replies)
    assert len(counts) == count
    assert min(counts.values()) > 5000 / count / 4


def test_a_reply_keeps_its_usage_and_facts(wrap: Wrap) -> None:
    (reply,) = talk(wrap(Scripted([WRITE]), "inner@1")[0], KEY, 1)
    assert reply.usage == WRITE.usage
    assert {**WRITE.extra, "injected": reply.extra["injected"]} == reply.extra


def test_a_complete_reply_at_the_token_limit_is_still_spoilt_as_said(wrap: Wrap) -> None:
    at_limit = Reply(WRITE.text, "length")
    for reply in talk(wrap(Scripted([at_limit] * 200), "inner@1")[0], KEY, 200):
        error = parse(reply.text, finish_reason=reply.finish_reason).error
        assert error is not None
        assert error.family == reply.extra["injected"]


def test_an_invalid_reply_passes_unchanged(wrap: Wrap) -> None:
    bad = Reply("I will read the file.", "stop")
    assert talk(wrap(Scripted([bad] * 50), "inner@1")[0], KEY, 50) == [bad] * 50


def test_the_inner_model_sees_the_conversation_as_it_is(wrap: Wrap) -> None:
    inner = Scripted([WRITE, WRITE])
    conversation = wrap(inner, "inner@1")[0].start(KEY)
    messages: list[Message] = [{"role": "user", "content": "GOAL:\nfix it"}]
    spoilt = conversation.reply(messages).text
    messages += [
        {"role": "assistant", "content": spoilt},
        {"role": "user", "content": "[parse_error] code_fence: send the bare object."},
    ]
    conversation.reply(messages)
    assert inner.asked == [messages[:1], messages]


def test_mistakes_depend_on_seed_task_and_index_only(wrap: Wrap) -> None:
    model, _ = wrap(Scripted([WRITE] * 40))
    other, _ = wrap(Scripted([WRITE] * 40))
    base = talk(model, KEY, 40)
    assert talk(other, RolloutKey(KEY.task_id, "novice:other", KEY.index, KEY.seed), 40) == base
    for key in (
        RolloutKey("minibugs/b", KEY.model, 0, 7),
        RolloutKey(KEY.task_id, KEY.model, 1, 7),
        RolloutKey(KEY.task_id, KEY.model, 0, 8),
    ):
        assert talk(model, key, 40) != base


def test_mistakes_are_the_same_in_every_process() -> None:
    script = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_novice as t
from pytest_repoagent.models.novice import Novice
print(hashlib.sha256(repr(t.talk(Novice(t.Scripted([t.WRITE] * 40), 0.5), t.KEY, 40)).encode()).hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(novice.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
