"""The replay provider: answers out of traces written by the project's own writer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_repoagent import trace
from pytest_repoagent.errors import ModelConfigError, OutOfReplies, ProviderError
from pytest_repoagent.models import replay
from pytest_repoagent.models.base import Conversation, ModelContext, Reply, RolloutKey, Usage
from pytest_repoagent.protocol.actions import Message

GCD, SIEVE = "quixbugs/gcd", "quixbugs/sieve"
MODEL = "together:org/m"
MESSAGES: list[Message] = [{"role": "user", "content": "whatever was asked"}]


class Recorder:
    """A folder of recorded runs; every rollout starts a second after the one before it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def rollout(
        self,
        run_id: str,
        replies: Sequence[str],
        task_id: str = GCD,
        index: int = 0,
        *,
        model: str = MODEL,
        attempt: int = 0,
        outcome: str | None = "final",
        tokens: int | None = 10,
    ) -> Path:
        """Write a trace; without an outcome it is left unfinished."""
        self.count += 1
        path = self.root / run_id / f"{self.count:02}.jsonl"
        which = {"run_id": run_id, "task_id": task_id, "model": model, "index": index, "attempt": attempt}
        with trace.Trace(path) as log:
            log.emit("run_start", schema=1, rollout_id=f"id{self.count}", seed=0, run={}, task={}, **which)
            for step, raw in enumerate(replies):
                log.emit("llm_request", step=step, new_messages=[], window="full", prompt_sha256="0" * 64)
                facts = {"raw": raw, "finish_reason": "length", "strict_valid": False, "lenient_valid": False}
                why = {"action": None, "error_code": "no_json", "error_message": "", "repair": None}
                usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "latency_s": 0.5}
                log.emit("llm_action", step=step, flags=[], extra={}, **facts, **why, **usage)
            if outcome is not None:
                end = {"success": None, "error": None, "cause": None, "duration_s": 1.0, "diff": "", "cost_usd": None}
                counts = {"files_touched": [], "loop_detections": 0, "reflection_count": 0}
                log.emit("run_end", outcome=outcome, **end, **counts)
        started = f"2026-01-01T00:00:{self.count:02}.000+00:00"
        path.write_text(re.sub(r'"ts":"[^"]*"', f'"ts":"{started}"', path.read_text()))
        return path


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "traces")


def start(name: str, root: Path, task_id: str = GCD, index: int = 0) -> Conversation:
    def unused(_: str) -> Any:
        raise AssertionError("replay needs neither fixes nor other models")

    model = replay.create(name, ModelContext(0.0, 1, None, 1.0, 0, root, unused, unused))
    model.check()
    return model.start(RolloutKey(task_id, f"replay:{name}", index, 0))


def first(name: str, root: Path, task_id: str = GCD, index: int = 0) -> str:
    return start(name, root, task_id, index).reply(MESSAGES).text


def test_replies_in_order_until_the_end(recorder: Recorder) -> None:
    recorder.rollout("one", ["a", "", "b"], outcome="max_iters")
    conversation = start("one", recorder.root)
    replies = [conversation.reply(MESSAGES) for _ in range(3)]
    assert replies == [Reply(text, "length", Usage(10, 10), {"replayed_from": "id1"}) for text in ("a", "", "b")]
    for _ in range(2):
        with pytest.raises(OutOfReplies, match="has 3 replies, and one more is asked for"):
            conversation.reply(MESSAGES)


def test_conversations_of_one_model_are_apart(recorder: Recorder) -> None:
    recorder.rollout("one", ["a", "b"])
    recorder.rollout("one", ["c"], SIEVE)
    recorder.rollout("one", ["d"], GCD, 1)
    assert first("one", recorder.root) == first("one", recorder.root) == "a"
    assert first("one", recorder.root, SIEVE) == "c"
    assert first("one", recorder.root, GCD, 1) == "d"


def test_tokens_that_were_not_counted(recorder: Recorder) -> None:
    recorder.rollout("one", ["a"], tokens=None)
    assert start("one", recorder.root).reply(MESSAGES).usage is None


def test_what_was_not_recorded(recorder: Recorder) -> None:
    recorder.rollout("one", ["a"])
    recorder.rollout("one", ["b"], index=1)
    with pytest.raises(ProviderError, match=rf"has only rollouts 0, 1 of {GCD}, so rollout 2 cannot"):
        first("one", recorder.root, GCD, 2)
    with pytest.raises(ProviderError, match=rf"has no rollout of {SIEVE}, so rollout 0 cannot"):
        first("one", recorder.root, SIEVE)


def test_a_recording_that_ended_in_trouble_before_its_first_reply(recorder: Recorder) -> None:
    recorder.rollout("one", [], outcome="provider_error")
    with pytest.raises(ProviderError, match="recorded rollout ended in provider_error"):
        first("one", recorder.root)


def test_the_last_attempt_answers_and_trouble_only_where_there_is_nothing_else(recorder: Recorder) -> None:
    recorder.rollout("one", ["late"], attempt=1)
    recorder.rollout("one", ["early"], attempt=0)
    recorder.rollout("one", ["spoiled"], attempt=2, outcome="provider_error")
    recorder.rollout("one", ["broken"], attempt=3, outcome="infrastructure_error")
    recorder.rollout("one", ["killed"], attempt=4, outcome=None)
    recorder.rollout("one", ["all there is"], SIEVE, outcome="provider_error")
    assert first("one", recorder.root) == "late"
    assert first("one", recorder.root, SIEVE) == "all there is"


def test_names_of_a_recording(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = recorder.rollout("one", ["a"])
    recorder.rollout("one", ["b"], SIEVE)
    elsewhere = tmp_path / "elsewhere"
    for name in ("one", "last", str(file), str(file.parent), str(recorder.root)):
        assert first(name, recorder.root) == "a"
    assert first(str(file.parent), elsewhere) == "a"
    monkeypatch.chdir(tmp_path)
    assert first("traces/one", elsewhere) == "a"
    with pytest.raises(ProviderError, match="has no rollout of"):
        first(str(file), recorder.root, SIEVE)


def test_last_is_the_newest_run_that_replayed_nothing(recorder: Recorder) -> None:
    recorder.rollout("zz-older", ["older"])
    recorder.rollout("aa-newer", ["newer"])
    recorder.rollout("bb-replay", ["replayed"], model="replay:last")
    recorder.rollout("bb-replay", ["beside it"], model="repair")
    recorder.rollout("cc-wrapped", ["replayed"], model="novice:replay:last")
    (recorder.root / "dd-empty").mkdir()
    (recorder.root / "dd-empty" / "torn.jsonl").write_text('{"kind":"run_st')
    assert first("last", recorder.root) == "newer"
    recorder.rollout("zz-older", ["again"], attempt=1)
    assert first("last", recorder.root) == "again"


def test_choosing_among_models(recorder: Recorder) -> None:
    recorder.rollout("at@run", ["a"], model="openai:m@v1")
    recorder.rollout("at@run", ["b"], model="repair")
    recorder.rollout("at", ["c"], model="repair")
    for name in ("at@run", "at@run@", "at@run@nobody", "last@nobody"):
        with pytest.raises(ModelConfigError, match="must choose one model"):
            start(name, recorder.root)
    assert first("at@run@openai:m@v1", recorder.root) == "a"
    assert first("at@run@repair", recorder.root) == "b"
    assert first("at", recorder.root) == first("at@repair", recorder.root) == "c"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is no recording: give a run id"),
        ("@repair", "is no recording: give a run id"),
        ("nowhere", "is no recording: give a run id"),
        ("last", "finds no recorded run"),
        ("unfinished", "has no finished rollout"),
        ("broken", r"bad\.jsonl is no trace"),
    ],
)
def test_recordings_that_cannot_be_used(recorder: Recorder, name: str, said: str) -> None:
    if name in ("unfinished", "broken"):
        recorder.rollout(name, ["a"], outcome=None)
        (recorder.root / name / "empty.jsonl").touch()
    if name == "broken":
        (recorder.root / name / "bad.jsonl").write_text('{"kind":"run_end"}\n')
    with pytest.raises(ModelConfigError, match=said):
        start(name, recorder.root)


def test_models_of_a_mixed_recording_are_listed(recorder: Recorder) -> None:
    recorder.rollout("one", ["a"], model="repair")
    recorder.rollout("one", ["b"], model="together:org/m")
    with pytest.raises(ModelConfigError, match=r"with @MODEL: repair, together:org/m\.$"):
        start("one", recorder.root)
