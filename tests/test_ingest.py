from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import tracemalloc
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_factory import bad, events, final, read, rollout, trace_file, write

from pytest_repoagent import trace
from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.fold import fold
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.protocol.render import prompt_sha256, state
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.store import ingest as ingest_module
from pytest_repoagent.store.ingest import ingest
from pytest_repoagent.store.reader import load_rollout, query
from pytest_repoagent.store.rows import same
from pytest_repoagent.store.writer import StoreWriter


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.duckdb"


def ids(store: Path) -> list[str]:
    return [row[0] for row in query(store, "SELECT rollout_id FROM rollouts ORDER BY ALL")[1]]


def test_traces_are_recorded_once(tmp_path: Path, store: Path) -> None:
    recorded = events([read(), write(), final()], success=True, rollout_id="r")
    path = trace_file(tmp_path / "traces" / "run1" / "gcd.000.jsonl", recorded)
    first = ingest([tmp_path / "traces"], store)
    again = ingest([path, tmp_path / "traces"], store)
    assert (first.written, first.already, first.unfinished, first.rejected) == (1, 0, [], [])
    assert (again.written, again.already, again.unfinished, again.rejected) == (0, 2, [], [])
    back = load_rollout(store, "r")
    assert [step.raw for step in back.trajectory] == ["reply 0 x", "reply 1 x", "reply 2 x"]
    assert (back.trace_path, back.success, back.tests[0].text) == (str(path), True, "tests x")


def test_more_files_than_a_batch(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(ingest_module.BATCH + 7):
        trace_file(tmp_path / "traces" / f"{i:03}.jsonl", events([final()], rollout_id=f"r{i}"))
    StoreWriter(store).write([rollout([final()], str(tmp_path / "traces" / "003.jsonl"), rollout_id="r3")])
    assert ingest([tmp_path / "traces"], store).written == ingest_module.BATCH + 6
    monkeypatch.setattr(ingest_module, "fold", None)  # what is recorded is not even read
    assert ingest([tmp_path / "traces"], store).already == ingest_module.BATCH + 7


@pytest.mark.parametrize("cut", ["the end", "the last line", "all lines but the first", "everything"])
def test_a_rollout_that_has_not_ended_is_left_for_later(tmp_path: Path, store: Path, cut: str) -> None:
    whole = events([read(), final()], rollout_id="r")
    path = trace_file(tmp_path / "traces" / "a.jsonl", whole)
    text = path.read_bytes()
    keep = {
        "the end": text.rindex(b"\n", 0, -1) + 1,
        "the last line": text.rindex(b"\n", 0, -1) + 20,
        "all lines but the first": 30,
        "everything": 0,
    }[cut]
    path.write_bytes(text[:keep])
    report = ingest([tmp_path / "traces"], store)
    assert (report.written, report.unfinished, report.rejected) == (0, [path], [])
    path.write_bytes(text)
    assert ingest([tmp_path / "traces"], store).written == 1


def damaged(change: str) -> bytes:
    whole = events([read(), final()], rollout_id="damaged")
    if change == "a field is missing":
        del whole[-1]["outcome"]
    if change == "newer schema":
        whole[0]["schema"] = 2
    if change == "a field of another type":
        whole[-1]["files_touched"] = None
    if change == "a name that is a number":
        whole[0]["rollout_id"] = 5
    if change == "a time that is none":
        whole[0]["ts"] = "yesterday"
    if change == "a seed no table can hold":
        whole[0]["seed"] = 2**70
    lines = [json.dumps(event).encode() for event in whole]
    if change == "a damaged line":
        lines[2] = lines[2][:40]
    if change == "a dataset":
        lines = [b'{"messages": [{"role": "user", "content": "hello"}]}'] * 3
    if change == "a list":
        lines = [b"[1, 2]"]
    if change == "bytes":
        lines = [bytes(range(128, 256))]
    if change == "very deep":
        lines = [b"[" * 200_000]
    if change == "steps twice":
        lines[3:3] = lines[1:3]
    if change == "two rollouts":
        lines *= 2
    if change == "gzip":
        return gzip.compress(b"\n".join(lines)).replace(b"\n", b"")
    if change == "a long number":
        lines[0] = lines[0].replace(b'"seed": 7', b'"seed": ' + b"7" * 5000)
    if change == "no number":
        lines[-1] = lines[-1].replace(b'"duration_s": 2.0', b'"duration_s": NaN')
    if change == "no number in a JSON column":
        lines[2] = lines[2].replace(b'"extra": {}', b'"extra": {"odd": NaN}')
    if change == "bytes that are no UTF-8":
        lines[2] = lines[2].replace(b"reply", b"\xff\xfe")
    return b"\n".join(lines) + b"\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("a field is missing", "lacks the field 'outcome'"),
        ("newer schema", "schema is 2, newer"),
        ("a field of another type", "NoneType"),
        ("a name that is a number", "rollout_id: Input should be a valid string"),
        ("a time that is none", "yesterday"),
        ("a seed no table can hold", "seed: Input should be less than"),
        ("a damaged line", "a.jsonl:3 is not a trace event"),
        ("a dataset", "no trace event"),
        ("a list", "not a JSON object"),
        ("bytes", "not JSON"),
        ("very deep", "recursion"),
        ("steps twice", "llm_action of step 0 comes after 1 steps"),
        ("two rollouts", "a second run_start"),
        ("gzip", "not JSON"),
        ("a long number", "not JSON"),
        ("no number", "duration_s: Input should be a finite number"),
        ("no number in a JSON column", "not JSON compliant"),
        ("bytes that are no UTF-8", "a.jsonl:3 is not a trace event"),
    ],
)
def test_a_bad_file_costs_that_file_only(tmp_path: Path, store: Path, change: str, reason: str) -> None:
    folder = tmp_path / "traces"
    good = trace_file(folder / "good.jsonl", events([final()], rollout_id="good"))
    trace_file(folder / "z.jsonl", events([final()], rollout_id="z"))
    (folder / "a.jsonl").write_bytes(damaged(change))
    report = ingest([folder], store)
    assert report.written == 2
    assert ids(store) == ["good", "z"]
    assert report.unfinished == []
    ((path, why),) = report.rejected
    assert path == folder / "a.jsonl"
    assert reason in why
    assert ingest([good], store).already == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pipe", "no regular file"),
        ("zero", "no regular file"),
        ("loop", "Too many levels of symbolic links"),
        ("dangling", "No such file"),
        ("sparse", "larger than 128 MiB"),
        ("line", "line 1 is longer than 8 MiB"),
    ],
)
def test_what_is_no_file_of_lines_is_rejected_and_not_waited_for(
    tmp_path: Path, store: Path, name: str, reason: str
) -> None:
    folder = tmp_path / "traces"
    trace_file(folder / "z.jsonl", events([final()], rollout_id="z"))
    path = folder / f"{name}.jsonl"
    match name:
        case "pipe":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "loop" | "dangling":
            path.symlink_to(path if name == "loop" else "nowhere")
        case "sparse" | "line":
            with path.open("wb") as file:
                file.truncate(2 * 2**30 if name == "sparse" else 9 * 2**20)
    (folder / "folder.jsonl").mkdir()
    for paths in ([folder], [path, folder / "z.jsonl"]):
        report = ingest(paths, store)
        ((where, why),) = report.rejected
        assert (where, report.unfinished, ids(store)) == (path, [], ["z"])
        assert reason in why


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_file(tmp_path / "traces" / "z.jsonl", events([final()], rollout_id="z"))
    (tmp_path / "traces" / "secret").mkdir()
    plain = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("secret"):  # root may read any
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return plain(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        report = ingest([tmp_path / "traces"], store)
    assert report.rejected == [(tmp_path / "traces" / "secret", "Permission denied")]
    assert ids(store) == ["z"]


def test_a_file_that_grows_as_it_is_read_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("one\n")
    monkeypatch.setattr(trace, "LARGEST_FILE", 100)

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            for number, _ in enumerate(trace.lines(path)):
                file.write(b"more\n")
                assert number < 100

    with pytest.raises(ValueError, match="larger than"):
        grow()


@pytest.mark.parametrize("many", [False, True])
def test_another_rollout_under_a_recorded_id_is_named(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    if many:
        monkeypatch.setattr(ingest_module, "BATCH", 1)
    whole = events([read(), final()], rollout_id="r", started_at="2026-11-20T12:00:00+02:00", cost_usd=1, text="\ud800")
    text = "".join(json.dumps(event) + "\n" for event in whole)
    recorded, copy, other = (tmp_path / f"{name}.jsonl" for name in ("recorded", "copy", "other"))
    recorded.write_text(text)
    copy.write_text(text)
    other.write_text(text.replace('"duration_s": 2.0', '"duration_s": 3.0'))
    report = ingest([recorded, copy, other], store)
    assert (report.written, report.already) == (1, 1)
    assert report.rejected == [(other, f"{recorded} is recorded as rollout r, and differs")]
    report = ingest([other, copy], store)
    assert (report.written, report.already, [path for path, _ in report.rejected]) == (0, 1, [other])


def test_a_batch_is_bounded_by_bytes_too(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [trace_file(tmp_path / f"{i}.jsonl", events([final()], text="x" * 999)) for i in range(9)]
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 2 * files[0].stat().st_size)
    sizes: list[int] = []
    plain = StoreWriter.write

    def write(self: StoreWriter, batch: Sequence[Rollout]) -> int:
        sizes.append(len(batch))
        return plain(self, batch)

    monkeypatch.setattr(StoreWriter, "write", write)
    assert ingest(files, store).written == 9
    assert sizes == [2, 2, 2, 2, 1]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def changed(value: Any, draw: Any) -> Any:
    """The value with something in it replaced, left out or put in."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 4)):
            return {other: inner for other, inner in value.items() if other != name}
        return {**value, name: changed(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], changed(value[index], draw), *value[index + 1 :]]
    return draw(_values)


@st.composite
def mutants(draw: Any) -> bytes:
    """A trace to which anything has happened."""
    whole = events(
        [read(), bad("no_json", lenient=True), write(), final()], success=True, rollout_id=draw(st.uuids()).hex
    )
    for _ in range(draw(st.integers(0, 3))):
        index = draw(st.integers(0, len(whole) - 1))
        match draw(st.sampled_from(["value", "value", "value", "gone", "twice", "moved"])):
            case "value":
                whole[index] = changed(whole[index], draw)
            case "gone" if len(whole) > 1:
                del whole[index]
            case "twice":
                whole.insert(index, whole[index])
            case "moved":
                whole.insert(draw(st.integers(0, len(whole) - 1)), whole.pop(index))
    text = b"".join(json.dumps(event).encode() + b"\n" for event in whole)
    if draw(st.booleans()):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        text = text[:start] + draw(st.binary(max_size=5)) + text[draw(st.sampled_from([start, start, end])) :]
    return text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=mutants())
def test_whatever_happened_to_a_trace_the_others_are_recorded_and_it_reads_back(
    text: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mutant")
    store, path = tmp_path_factory.getbasetemp() / "mutants.duckdb", folder / "m.jsonl"
    path.write_bytes(text)
    others = {uuid.uuid4().hex, uuid.uuid4().hex}
    for name, rollout_id in zip("az", others, strict=True):
        trace_file(folder / f"{name}.jsonl", events([read(), final()], rollout_id=rollout_id))
    report = ingest([folder], store)
    read_from = f"SELECT rollout_id FROM rollouts WHERE starts_with(trace_path, '{folder}/')"
    recorded = {rollout_id for (rollout_id,) in query(store, read_from)[1]}
    assert others <= recorded
    told = [*report.unfinished, *(where for where, _ in report.rejected)]
    assert recorded > others or path in told or report.already
    for rollout_id in recorded - others:
        back = load_rollout(store, rollout_id)
        assert back.run["versions"] == {"trace": "legacy"} or same(back, fold(trace.read(path), str(path)))
    for table in ("steps", "rollouts", "runs", "test_runs", "metrics"):
        query(store, f"FROM {table}")


def test_a_path_that_is_not_there_is_rejected_and_the_store_made(tmp_path: Path, store: Path) -> None:
    report = ingest([tmp_path / "nowhere"], store)
    ((path, reason),) = report.rejected
    assert path == tmp_path / "nowhere"
    assert "No such file" in reason
    assert ids(store) == []


def test_a_store_that_cannot_be_written_is_not_taken_for_bad_traces(tmp_path: Path) -> None:
    trace_file(tmp_path / "a.jsonl", events([final()]))
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError):
        ingest([tmp_path / "a.jsonl"], tmp_path / "file" / "store.duckdb")


def test_a_batch_at_a_time_is_in_memory(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a line of a tool's result, more or less\n" * 500
    files = [trace_file(tmp_path / f"{i}.jsonl", events([read()] * 3, text=text)) for i in range(60)]
    monkeypatch.setattr(ingest_module, "BATCH", 5)
    tracemalloc.start()
    try:
        assert ingest(files, store).written == 60
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < sum(file.stat().st_size for file in files) / 3


def test_a_trace_of_before_the_sandbox_does_not_say_what_it_was(tmp_path: Path, store: Path) -> None:
    recorded = events([write(), final()], success=True, rollout_id="r")
    for said in (recorded[0]["run"], recorded[-2]):
        for name in ("runner", "judge", "sandbox"):
            said.pop(name, None)
    recorded[-2]["runner"] = "subprocess"
    trace_file(tmp_path / "a.jsonl", recorded)
    assert ingest([tmp_path / "a.jsonl"], store).written == 1
    assert query(
        store,
        "SELECT r.runner, r.sandbox, t.runner, judge, t.sandbox FROM rollouts r JOIN test_runs t USING (rollout_id)",
    )[1] == [(None, None, "subprocess", None, None)]
    (test_run,) = load_rollout(store, "r").tests
    assert (test_run.judge, test_run.sandbox) == (None, None)


# Old-style traces.

SYSTEM: Message = {"role": "system", "content": "You are a code-fixing agent."}
GOAL: Message = {"role": "user", "content": "GOAL:\nFix quicksort"}
LIST = '{"type": "tool_call", "name": "list_files", "args": {"rel_dir": ".", "max_files": 200}}'
WRITE = '{"type": "tool_call", "name": "write_file", "args": {"rel_path": "quicksort.py", "content": "fixed\\n"}}'
NO_ARGS = '{"type": "tool_call", "name": "write_file", "args": {}}'
FINAL = '{"type": "final", "summary": "Fixed the pivot", "changes": []}'


def said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def told(text: str) -> Message:
    return {"role": "user", "content": f"[tool_result]\n{text}"}


def flat(run_id: str = "195896c323") -> list[dict[str, Any]]:
    """An old-style run, the fields in the events: list, a call without arguments, write, final."""
    talk = [SYSTEM, GOAL, said(LIST), told("quicksort.py"), said(NO_ARGS), told("error: rel_path"), said(WRITE)]
    talk.append(told("Wrote quicksort.py\n\n[TESTS PASS]\n1 passed"))
    run: dict[str, Any] = {"run_id": run_id}
    return [
        {**run, "kind": "run_start", "ts": 1764000000.25, "task_id": "fix_quicksort", "model": "qwen", "seed": 42},
        {**run, "kind": "llm_request", "messages": talk[:2]},
        {**run, "kind": "llm_action", "raw": LIST, "action": json.loads(LIST)},
        {**run, "kind": "tool_result", "tool": "list_files", "ok": True, "content": "quicksort.py"},
        {**run, "kind": "llm_request", "messages": talk[:4]},
        {**run, "kind": "llm_action", "raw": NO_ARGS, "action": json.loads(NO_ARGS)},
        {**run, "kind": "tool_result", "tool": "write_file", "ok": False, "output": "error: rel_path"},
        {**run, "kind": "llm_request", "messages": talk[:6]},
        {**run, "kind": "llm_action", "raw": WRITE, "action": json.loads(WRITE)},
        {**run, "kind": "tool_result", "tool": "write_file", "ok": True, "content": "Wrote quicksort.py"},
        {**run, "kind": "tests", "ok": True, "output": "1 passed"},
        {**run, "kind": "llm_request", "messages": talk[:8]},
        {**run, "kind": "llm_action", "raw": FINAL, "action": json.loads(FINAL)},
        {**run, "kind": "final", "summary": "Fixed the pivot", "changes": []},
        {**run, "kind": "run_end", "success": True, "duration_s": 12.5, "files_touched": ["quicksort.py"]},
    ]


def lines(path: Path, recorded: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in recorded))
    return path


def only(store: Path, *paths: Path) -> Rollout:
    report = ingest(paths, store)
    assert (report.written, report.rejected, report.unfinished) == (1, [], [])
    (rollout_id,) = ids(store)
    return load_rollout(store, rollout_id)


def test_an_old_style_trace_becomes_a_rollout(tmp_path: Path, store: Path) -> None:
    made = only(store, lines(tmp_path / "old.jsonl", flat()))
    assert (made.run_id, made.task_id, made.model, made.seed) == ("195896c323", "fix_quicksort", "qwen", 42)
    assert (made.outcome, made.success, made.final_summary) == ("final", True, "Fixed the pivot")
    assert (made.duration_s, made.files_touched) == (12.5, ("quicksort.py",))
    assert made.started_at == "2025-11-24T16:00:00.250+00:00"
    assert [s.strict_valid for s in made.trajectory] == [True, False, True, True]
    assert made.parse_errors_by_code == {"missing_required": 1}
    assert [s.executed_ok for s in made.trajectory] == [True, False, True, None]
    assert [s.result for s in made.trajectory] == ["quicksort.py", "error: rel_path", "Wrote quicksort.py", None]
    assert made.tool_breakdown == {"list_files": 1, "write_file": 2}
    assert [(t.step, t.passed, t.text) for t in made.tests] == [(2, True, "1 passed")]


def test_what_an_old_style_trace_does_not_say_is_unknown(tmp_path: Path, store: Path) -> None:
    only(store, lines(tmp_path / "old.jsonl", flat()))
    names = "attempt, rollout, suite, split, settings_hash, family, difficulty, cost_usd, diff, prompt_tokens, error, "
    names += "runner, sandbox"
    assert query(store, f"SELECT {names} FROM rollouts")[1] == [(None,) * 13]
    rows = query(store, "SELECT DISTINCT latency_s, tool_s, finish_reason FROM steps WHERE result IS NOT NULL")[1]
    assert rows == [(None, None, None)]
    assert query(store, "SELECT reason, counts, cpu_s, judge, sandbox FROM test_runs")[1] == [(None,) * 5]
    assert query(store, "SELECT versions->>'$.trace' FROM runs")[1] == [("legacy",)]


def test_prompts_of_an_old_style_trace_can_be_put_together_again(tmp_path: Path, store: Path) -> None:
    recorded = flat()
    made = only(store, lines(tmp_path / "old.jsonl", recorded))
    sent = [event["messages"] for event in recorded if event["kind"] == "llm_request"]
    new, raws = [s.new_messages for s in made.trajectory], [s.raw for s in made.trajectory]
    assert [len(messages) for messages in new] == [2, 1, 1, 1]
    for number, step in enumerate(made.trajectory):
        assert state(new, raws, number, step.window) == sent[number]
        assert step.prompt_sha256 == prompt_sha256(sent[number])
    text = json.dumps(sent[0], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert made.trajectory[0].prompt_sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_an_old_style_trace_is_one_rollout_wherever_it_lies(tmp_path: Path, store: Path) -> None:
    lines(tmp_path / "here.jsonl", flat())
    lines(tmp_path / "there.jsonl", flat())
    report = ingest([tmp_path / "here.jsonl", tmp_path / "there.jsonl"], store)
    assert (report.written, report.already) == (1, 1)
    assert ingest([tmp_path / "there.jsonl"], store).already == 1
    assert ids(store)[0].startswith("legacy-")


@pytest.mark.parametrize("key", ["event", "type"])
def test_the_kind_may_have_other_names(tmp_path: Path, store: Path, key: str) -> None:
    recorded = [{(key if name == "kind" else name): value for name, value in event.items()} for event in flat()]
    assert only(store, lines(tmp_path / "old.jsonl", recorded)).parse_errors == 1


def test_several_runs_in_one_file(tmp_path: Path, store: Path) -> None:
    good, unfinished, textless, again = flat("good"), flat("cut")[:-1], flat("textless"), flat("good")[:3] + flat()[-1:]
    del textless[2]["raw"]
    again[-1]["run_id"] = "good"
    mixed = [event for pair in zip(good, [*unfinished, {}], textless, strict=True) for event in pair if event]
    path = lines(tmp_path / "old.jsonl", mixed + again)
    report = ingest([path], store)
    assert (report.written, report.unfinished) == (2, [path])
    ((rejected, reason),) = report.rejected
    assert rejected == path
    assert "run textless" in reason
    assert "raw" in reason
    assert query(store, "SELECT run_id, steps FROM rollouts ORDER BY ALL")[1] == [("good", 1), ("good", 4)]


def test_runs_without_ids_follow_one_another(tmp_path: Path, store: Path) -> None:
    def nameless(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in event.items() if name != "run_id"} for event in run]

    bare = nameless(flat())[1:]  # not even a run_start
    bare[0]["messages"] = [SYSTEM, {"role": "user", "content": "GOAL:\nFix gcd"}]
    report = ingest([lines(tmp_path / "old.jsonl", nameless(flat()) + bare)], store)
    assert (report.written, report.rejected, report.unfinished) == (2, [], [])
    assert query(store, "SELECT steps, run_id = rollout_id FROM rollouts")[1] == [(4, True), (4, True)]


def enveloped() -> list[dict[str, Any]]:
    """An old-style run as the old agent wrote it with its JSON protocol.

    The fields are in a payload; a request is logged before the last tool result is appended; ``raw`` is the decoded
    object.
    """
    envelope = {"ts": 1764000000.0, "run_id": "r", "meta": {"task_id": "fix_gcd", "model": "qwen", "provider": "t"}}
    spaced = LIST.replace('"args"', ' "args"')
    talk = [SYSTEM, GOAL, said(spaced), told("gcd.py"), said(WRITE), told("Wrote gcd.py\n\n[TESTS FAIL]\n1 failed")]

    def event(kind: str, **payload: Any) -> dict[str, Any]:
        return {**envelope, "kind": kind, "payload": payload}

    return [
        event("run_start", run_id="r", goal="Fix gcd"),
        event("llm_request", t=0, messages=talk[:2]),
        event("llm_usage", t=0, prompt_tokens=50, completion_tokens=7, total_tokens=57, phase="action"),
        event("llm_action", t=0, raw=json.loads(LIST), action=json.loads(LIST)),
        event("tool_result", t=0, tool="list_files", args={}, obs={"ok": True, "output": "gcd.py", "meta": {}}),
        event("driver_note", t=1, note="Loop detected: change approach, inspect different evidence, then replan."),
        event("llm_request", t=1, messages=talk[:3]),
        event("llm_action", t=1, raw=json.loads(WRITE), action=json.loads(WRITE)),
        event("tool_result", t=1, tool="write_file", args={}, obs={"ok": True, "output": "Wrote gcd.py", "meta": {}}),
        event("tests", ok=False, output="1 failed"),
        event("reflection", t=1, reflection={"notes": []}),
        event("llm_request", t=2, messages=talk[:5]),
        event("llm_parse_error", t=2, error="no JSON", raw={"type": "invalid_json", "raw_text": "I am done."}),
        event("run_end", run_id="r", summary="Stopped: max iters reached.", state={"last_test": {"ok": False}}),
    ]


def test_the_old_agents_own_traces(tmp_path: Path, store: Path) -> None:
    made = only(store, lines(tmp_path / "old.jsonl", enveloped()))
    assert (made.task_id, made.model, made.outcome, made.success) == ("fix_gcd", "qwen", "max_iters", False)
    assert (made.loop_detections, made.reflection_count, made.prompt_tokens) == (1, 1, 50)
    list_files, write_file, talk = made.trajectory
    assert list_files.raw == LIST.replace('"args"', ' "args"')  # its text, not the object spelled anew
    assert write_file.new_messages == (told("gcd.py"),)  # which the logged request lacked
    assert write_file.prompt_sha256 == prompt_sha256([SYSTEM, GOAL, said(list_files.raw), told("gcd.py")])
    assert (talk.raw, talk.strict_valid, talk.error_code) == ("I am done.", False, "no_json")
    assert talk.new_messages == ()  # no later request says what it was asked
    assert query(store, "SELECT step FROM steps WHERE prompt_sha256 IS NULL")[1] == [(2,)]
    assert (write_file.raw, write_file.extra) == (WRITE, {})
    assert [step.executed_ok for step in made.trajectory] == [True, True, None]


def test_a_reply_of_which_only_the_object_is_known_is_spelled_anew_and_marked(tmp_path: Path, store: Path) -> None:
    recorded = flat()
    recorded[-3]["raw"] = json.loads(FINAL)
    last = only(store, lines(tmp_path / "old.jsonl", recorded)).trajectory[-1]
    assert last.raw == FINAL.replace(": ", ":").replace(", ", ",")
    assert (last.strict_valid, last.extra) == (True, {"respelled": True})


def test_a_prompt_that_is_not_the_last_one_continued_is_kept_whole(tmp_path: Path, store: Path) -> None:
    recorded = flat()
    window = [SYSTEM, GOAL, told("error: rel_path")]
    recorded[7]["messages"] = window
    made = only(store, lines(tmp_path / "old.jsonl", recorded))
    step = made.trajectory[2]
    assert (list(step.new_messages), step.prompt_sha256) == (window, prompt_sha256(window))
    assert [s.extra for s in made.trajectory] == [{}, {}, {"restarted": True}, {"restarted": True}]


def test_an_old_error_of_unknown_cause_is_not_held_against_the_model(tmp_path: Path, store: Path) -> None:
    recorded = [flat()[0], {"kind": "run_end", "success": False, "error": "Unknown LLM provider: 'together-chat'"}]
    made = only(store, lines(tmp_path / "old.jsonl", recorded))
    assert (made.steps, made.counted, made.error) == (0, False, "Unknown LLM provider: 'together-chat'")


def test_native_tool_calls_are_refused(tmp_path: Path, store: Path) -> None:
    recorded = flat()
    recorded[4]["messages"][2] = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function"}]}
    ((_, reason),) = ingest([lines(tmp_path / "old.jsonl", recorded)], store).rejected
    assert "native tool calls" in reason


def test_lenient_replies_that_the_old_agent_executed_count_as_parse_errors(tmp_path: Path, store: Path) -> None:
    recorded = flat()
    recorded[2]["raw"] = f"```json\n{LIST}\n```"
    made = only(store, lines(tmp_path / "old.jsonl", recorded))
    first = made.trajectory[0]
    assert (first.strict_valid, first.lenient_valid, first.executed_ok) == (False, True, True)
    assert first.action == json.loads(LIST)
    assert made.tool_breakdown["list_files"] == 1


def test_half_surrogates_of_a_trace_do_not_stop_it(tmp_path: Path, store: Path) -> None:
    path = trace_file(tmp_path / "a.jsonl", events([bad("no_json")], text="half \ud83d pair", rollout_id="r"))
    assert ingest([path], store).written == 1
    assert query(store, "SELECT raw FROM steps")[1] == [("reply 0 half \ufffd pair",)]
