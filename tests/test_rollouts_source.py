from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import rollout_kit as kit
from hypothesis import given
from hypothesis import strategies as st

from builders import leakage, rollouts, selection
from builders.choices import RolloutRules, StepRules
from builders.rollouts import Prompt, RecordedRollout
from pytest_repoagent import bundled
from pytest_repoagent.protocol import render
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.store.ingest import ingest
from pytest_repoagent.suites import load_suite

EVERYTHING = StepRules(
    require_strict=False,
    require_valid_tool_ok=False,
    loops=True,
    unchanged_writes=True,
    bad_content=True,
    dedup=False,
    max_per_slot=0,
)


def read(store: Path, every: bool = False) -> tuple[list[RecordedRollout], Counter[str]]:
    with selection.open_store(store, store.with_name("spill")) as connection:
        held_out = leakage.load(connection, [], None)
        selection.select_rollouts(connection, RolloutRules(require_success=False), held_out)
        if every:
            selection.select_every_step(connection)
        else:
            selection.select_steps(connection, EVERYTHING)
        dropped = selection.selected(connection).dropped
        return list(rollouts.read(connection, held_out, dropped)), dropped


def change(store: Path, sql: str) -> None:
    with duckdb.connect(store) as connection:
        connection.execute(sql)


REPLIES = [kit.LIST, "no json", kit.read(), kit.write(), kit.FINAL]


@pytest.mark.parametrize("window", ["full", "last_k:1"])
def test_prompts_are_those_that_were_sent(tmp_path: Path, window: str) -> None:
    recorded = kit.rollout(REPLIES, window=window, refused={2: "not_found"})
    (found,), dropped = read(kit.store(tmp_path / "s", recorded), every=True)
    news, raws = [step.new_messages for step in recorded.trajectory], [step.raw for step in recorded.trajectory]
    assert [step.step for step in found.steps] == [0, 1, 2, 3, 4]
    for step in found.steps:
        assert list(step.messages) == render.state(news, raws, step.step, window)
        assert list(step.conversation) == render.state(news, raws, step.step, "full")
        assert step.state_hash == render.prompt_sha256(step.messages)
        assert (step.window, step.raw) == (window, raws[step.step])
    assert [step.action for step in found.steps] == [kit.LIST, None, kit.read(), kit.write(), kit.FINAL]
    assert [step.recovers for step in found.steps] == [None, None, "no_json", "not_found", None]
    assert not dropped
    assert (found.task_id, found.family, found.model, found.success) == ("own/total", "total", "builtin:teacher", True)


def test_without_repairs_a_step_with_no_action_is_no_example(tmp_path: Path) -> None:
    (found,), dropped = read(kit.store(tmp_path / "s", kit.rollout(REPLIES)))
    assert [step.step for step in found.steps] == [0, 2, 3, 4]
    assert dropped == Counter({"no valid action": 1})


message = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text()})


@given(st.lists(message))
def test_the_growing_hash_is_the_renderer_s(messages: list[Message]) -> None:
    prompt = Prompt()
    for number, each in enumerate(messages, 1):
        prompt.add(each)
        assert prompt.sha256() == render.prompt_sha256(messages[:number])
    assert prompt.messages == messages


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (f"UPDATE steps SET {kit.OTHER_REPLY} WHERE step = 1", [0, 1]),
        ("UPDATE steps SET texts = replace(texts, 'total', 'sum') WHERE step = 0", []),
        ("UPDATE steps SET prompt_sha256 = repeat('0', 64) WHERE step = 2", [0, 1, 3, 4]),
        ("UPDATE steps SET window_policy = 'last_k:1' WHERE step = 4", [0, 1, 2, 3]),
        ("DELETE FROM steps WHERE step = 1", [0]),
        ("UPDATE steps SET prompt_sha256 = NULL WHERE step = 3", [0, 1, 2, 4]),
    ],
)
def test_a_prompt_that_cannot_be_reproduced_is_refused(tmp_path: Path, damage: str, left: list[int]) -> None:
    store = kit.store(tmp_path / "s", kit.rollout(REPLIES))
    change(store, damage)
    found, dropped = read(store, every=True)
    assert [step.step for rollout in found for step in rollout.steps] == left
    steps = 4 if damage.startswith("DELETE") else 5
    assert dropped.total() == steps - len(left)
    assert set(dropped) == {"prompt not recorded" if "NULL" in damage else "prompt not reproduced"}


def test_rollouts_come_in_the_order_of_recording_whatever_chunk_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "CHUNK_STEPS", 7)
    recorded = [kit.rollout(task=f"own/{name}", index=index) for name in "dabc" for index in range(5)]
    found, _ = read(kit.store(tmp_path / "s", *recorded))
    assert [rollout.rollout_id for rollout in found] == [rollout.rollout_id for rollout in recorded]
    assert all(len(rollout.steps) == 4 for rollout in found)


def old_style(path: Path, steps: list[tuple[list[Message], str]], **facts: Any) -> Path:
    start = {"kind": "run_start", "run_id": "old", "model": "qwen", **facts}
    lines: list[Mapping[str, Any]] = [start]
    for messages, raw in steps:
        lines.append({"kind": "llm_request", "messages": messages})
        lines.append({"kind": "llm_action", "raw": raw})
        lines.append({"kind": "tool_result", "ok": True, "content": "text"})
    lines.append({"kind": "run_end", "success": True, "outcome": "final"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def chat(*contents: str) -> list[Message]:
    roles: tuple[Any, ...] = ("system", *["user", "assistant"] * len(contents))
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]


def ingested(tmp_path: Path, *traces: Path) -> Path:
    store = tmp_path / "s"
    assert ingest(traces, store).written == len(traces)
    return store


@pytest.fixture
def minibugs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported tasks are compared with the programs of all held-out suites; QuixBugs is not here."""
    folder = tmp_path / "suites"
    folder.mkdir()
    for path in bundled.suites_dir().glob("minibugs_*.json"):
        shutil.copy(path, folder)
    monkeypatch.setattr(bundled, "suites_dir", lambda: folder)


@pytest.mark.usefixtures("minibugs_only")
def test_imported_conversations_are_a_source(tmp_path: Path) -> None:
    first, second = chat("rules", "fix it"), chat("rules", "fix it", kit.read(), "text")
    trace = old_style(tmp_path / "t.jsonl", [(first, kit.read()), (second, kit.write())], task_id="fix_own")
    (found,), dropped = read(ingested(tmp_path, trace))
    assert [list(step.messages) for step in found.steps] == [first, second]
    assert (found.task_id, found.family) == ("fix_own", "fix_own")
    assert not dropped


@pytest.mark.usefixtures("minibugs_only")
def test_an_imported_conversation_may_start_again(tmp_path: Path) -> None:
    prompts = [chat("rules", "fix it"), chat("rules", "fix that"), chat("rules", "fix that", kit.read(), "text")]
    replies = [kit.LIST, kit.read(), kit.write()]
    trace = old_style(tmp_path / "t.jsonl", list(zip(prompts, replies, strict=True)), task_id="own")
    (found,), _ = read(ingested(tmp_path, trace))
    assert [list(step.messages) for step in found.steps] == prompts


@pytest.mark.usefixtures("minibugs_only")
def test_an_imported_conversation_must_take_turns(tmp_path: Path) -> None:
    twice: list[Message] = [*chat("rules", "fix it"), {"role": "user", "content": "now"}]
    trace = old_style(tmp_path / "t.jsonl", [(chat("rules", "a"), kit.LIST), (twice, kit.read())], task_id="own")
    (found,), dropped = read(ingested(tmp_path, trace))
    assert [step.step for step in found.steps] == [0]
    assert dropped == Counter({"prompt of turns that do not alternate": 1})


@pytest.mark.usefixtures("minibugs_only")
def test_imported_tasks_are_known_by_the_names_that_old_traces_give_them(tmp_path: Path) -> None:
    heldout, train = (
        load_suite(bundled.suites_dir() / f"minibugs_{side}.json").tasks[0] for side in ("heldout", "train")
    )
    names = [name for task in (heldout, train) for name in (task.task_id, task.name, f"fix_{task.name}")]
    prompt = chat("rules", "fix it")
    traces = [old_style(tmp_path / f"{i}.jsonl", [(prompt, kit.read())], task_id=name) for i, name in enumerate(names)]
    found, dropped = read(ingested(tmp_path, *traces))
    assert {(rollout.task_id, rollout.family) for rollout in found} == {(name, train.family) for name in names[3:]}
    assert dropped == Counter({"held-out task": 3})


@pytest.mark.usefixtures("minibugs_only")
def test_an_imported_rollout_that_shows_a_held_out_program_is_refused(tmp_path: Path) -> None:
    task = load_suite(bundled.suites_dir() / "minibugs_heldout.json").tasks[0]
    program = (bundled.minibugs_dir() / task.expected_files[0]).read_text()
    trace = old_style(tmp_path / "t.jsonl", [(chat("rules", f"fix this:\n{program}"), kit.read())], task_id="own")
    found, dropped = read(ingested(tmp_path, trace))
    assert not found
    assert [reason.partition(" (")[0] for reason in dropped] == [f"shows held-out {task.task_id}"]


def test_imported_tasks_of_no_suite_need_every_held_out_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUIXBUGS_ROOT", str(tmp_path / "nowhere"))
    trace = old_style(tmp_path / "t.jsonl", [(chat("rules", "fix it"), kit.read())], task_id="own")
    found, dropped = read(ingested(tmp_path, trace))
    assert not found
    assert dropped == Counter({"imported, and not every held-out program is there to compare with": 1})
