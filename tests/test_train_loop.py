"""``bench/loop_demo.py`` runs through, here with as little of everything as can be (``make test-train``)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest
import train_kit

from pytest_repoagent.protocol.actions import Final, ToolCall, canonical

BENCH = Path(__file__).parents[1] / "bench"
pytestmark = train_kit.pytestmark


def test_between_values_the_protocol_is_one_token_and_no_text_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from loop_model import Shape, make
    from transformers import AutoTokenizer

    content = 'd = {"a": {"b": 1}}\n\tprint("\\n", r"\\d")  # \u00e9\n'
    write = canonical(ToolCall("write_file", {"rel_path": "a.py", "content": content, "thought": '","content":"'}))
    final = canonical(Final("s", ({"path": "a", "description": "d"}, {"path": "b", "description": "d"})))
    make(
        [["the system prompt\n", content, write, final]],
        tmp_path,
        Shape(vocabulary=400, layers=2, width=64, quoting=0),
        seed=0,
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)

    for text in ("the system prompt\n", content, write, final):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("the system prompt\n")["input_ids"]) == 1
    read = canonical(ToolCall("read_file", {"rel_path": "a", "max_chars": 4}))
    assert [tokenizer.decode([token]) for token in tokenizer(read)["input_ids"]] == [
        '{"type":"tool_call","name":"read_file","args":{"rel_path":"',
        "a",
        '","max_chars":',
        "4",
        "}}",
    ]
    assert [tokenizer.decode([token]) for token in tokenizer(final)["input_ids"]] == [
        '{"type":"final","summary":"',
        "s",
        '","changes":[{"path":"',
        "a",
        '","description":"',
        "d",
        '"},{"path":"',
        "b",
        '","description":"',
        "d",
        '"}]}',
    ]


def test_every_stage_runs_and_is_recorded_in_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    monkeypatch.chdir(BENCH.parent)
    from loop_demo import Size, run
    from loop_model import Shape

    size = Size(
        train=4,
        heldout=1,
        practice=2,
        shape=Shape(vocabulary=500, layers=2, width=64, quoting=2),
        setup="--paraphrase=10 --max-iters=4 --max-tokens=16",
        rollouts=1,
        sft="--epochs=1 --learning-rate=1e-3 --batch-size=4",
        pairs="--max-pairs=8",
        dpo="--epochs=1 --learning-rate=1e-4 --batch-size=4",
    )
    report = run(tmp_path / "demo", size)

    assert "**sft** compared with **base**" in report
    assert "**dpo** compared with **sft**" in report
    with duckdb.connect(str(tmp_path / "demo/store.duckdb"), read_only=True) as store:
        asked = store.execute("SELECT DISTINCT model FROM rollouts WHERE split = 'heldout' ORDER BY model").fetchall()
        jobs = store.execute("SELECT method, status FROM jobs ORDER BY submitted_at").fetchall()
    assert asked == [("openai:base",), ("openai:dpo",), ("openai:sft",)]
    assert jobs == [("sft", "completed"), ("dpo", "completed")]


def test_a_quotation_is_the_text_as_a_json_string_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from loop_model import Shape, make
    from loop_quoting import HEADING, IGNORED, Quotations
    from transformers import AutoTokenizer

    text = f"{HEADING}def f(a):\n    return \"a\" + 'b'\n"
    conversation = ["the system prompt\n", text, json.dumps(text)]
    make([conversation], tmp_path, Shape(vocabulary=400, layers=2, width=64, quoting=0), seed=0)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    quotations = Quotations(tokenizer, [text], seed=0)
    for random_tokens in (True, False) * 20:
        row = quotations.conversation(random_tokens)
        messages = tokenizer.decode([token for token, _ in row]).split("<|end|>")
        shown = [message for message in messages if message.startswith(f"<|user|>{HEADING}")]
        right = tokenizer.decode([label for _, label in row if label != IGNORED]).split("<|end|>")
        assert len(shown) == 1
        asked = shown[0].removeprefix(f"<|user|>{HEADING}")
        assert {asked.replace("\n", "\\n").replace('"', '\\"')} == {*right[:-1]}
        assert right[-1] == ""


def test_no_task_of_the_demonstration_shares_its_words_with_a_held_out_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCH)
    from loop_demo import Size, suites

    from pytest_repoagent.suites import load_suite

    size = Size()
    files = suites(tmp_path, size)
    families = [{task.family for task in load_suite(file).tasks} for file in files]
    assert [*map(len, families)] == [size.train, size.heldout, size.practice]
    assert families[0].isdisjoint(families[2])

    def words(file: Path) -> set[str]:
        programs = (file.parent / "python_programs").iterdir()
        return {word for path in programs for word in re.findall("[a-z]+", f"{path.stem} {path.read_text()}")}

    train, heldout, practice = map(words, files)
    assert (train | practice) & heldout == {"def", "solve", "return"}


def test_small_tasks_are_mended_by_their_fix_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCH)
    import loop_suite

    from pytest_repoagent.sources.base import SourceContext
    from pytest_repoagent.suites import load_suite
    from pytest_repoagent.testrun.base import Job
    from pytest_repoagent.testrun.subprocess_runner import SubprocessRunner

    suites = [load_suite(loop_suite.write(tmp_path / split, split, 5)) for split in ("train", "heldout")]
    runner = SubprocessRunner()
    try:
        for suite in suites:
            source = loop_suite.pytest_repoagent_sources()["small"](SourceContext(None, suite, tmp_path))
            for task in suite.tasks:
                files, tests = source.files(task), task.expected_tests
                buggy, fixed = (
                    runner.run(Job(files.root, files.paths, changes, task.command, tests.passed, tests.skipped))
                    for changes in ({}, source.fix(task))
                )
                assert (buggy.passed, fixed.passed) == (False, True)
    finally:
        runner.close()
