from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pytest
from format_cases import ASK, BAD, CHAT, END, GOOD, PAIR, Row

from builders.formats import FORMATS, Format
from builders.lines import MAX_LINE_BYTES
from builders.validate import MAX_FINDINGS, Report, validate
from pytest_repoagent.cli import main
from pytest_repoagent.errors import UsageError

ROOT = Path(__file__).parent.parent


def written(tmp_path: Path, *lines: Row | str | bytes, name: str = "train.jsonl") -> Path:
    path = tmp_path / name
    texts = [json.dumps(line, ensure_ascii=False) if isinstance(line, dict) else line for line in lines]
    path.write_bytes(b"".join((text.encode() if isinstance(text, str) else text) + b"\n" for text in texts))
    return path


def places(report: Report) -> list[tuple[int, str, str]]:
    return [(finding.line, finding.path, finding.rule) for finding in report.findings]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_row_is_accepted(name: str, tmp_path: Path) -> None:
    format, kind, row = GOOD[name]
    path = written(tmp_path, row, row)
    for asked in (kind, None):
        report = validate(path, format, asked)
        assert report.findings == ()
        assert (report.rows, report.kind, report.total) == (2, kind, 0)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_refused_where_it_is_bad(name: str, tmp_path: Path) -> None:
    format, row, place, rule = BAD[name]
    report = validate(written(tmp_path, row), format)
    assert (1, place, rule) in places(report)
    assert report.total == len(report.findings)


LINES: dict[str, tuple[str | bytes, str]] = {
    "blank": ("", "blank-line"),
    "spaces": ("  \t", "blank-line"),
    "cut short": ('{"messages": [', "not-json"),
    "pretty printed": ("{", "not-json"),
    "two objects": ('{"a":1} {"a":1}', "not-json"),
    "Python": ("{'messages': None}", "not-json"),
    "trailing comma": ('{"messages": [],}', "not-json"),
    "raw newline in a string": ('{"a": "x\ty"}', "not-json"),
    "deep": ("[" * 100_000, "not-json"),
    "endless number": ('{"weight": ' + "1" * 5000 + "}", "not-json"),
    "list": ("[{}]", "not-object"),
    "text": ('"messages"', "not-object"),
    "null": ("null", "not-object"),
    "duplicate key": ('{"messages": [{"role": "user", "role": "assistant"}]}', "duplicate-key"),
    "NaN": ('{"messages": [], "weight": NaN}', "not-finite"),
    "Infinity": ('{"messages": [], "weight": -Infinity}', "not-finite"),
    "too large": ('{"messages": [], "weight": 1e999}', "not-finite"),
    "latin 1": ('{"messages": "caf\u00e9"}'.encode("latin-1"), "not-utf-8"),
    "raw surrogate": (b'{"messages": "\xed\xa0\x80"}', "not-utf-8"),
    "half a pair": ('{"messages": [{"role": "user", "content": "\\ud83d"}]}', "half-surrogate"),
    "half a pair in a key": ('{"messages": [], "\\uDE00": 1}', "half-surrogate"),
    "long": ('{"messages": "' + "x" * MAX_LINE_BYTES + '"}', "long-line"),
    "byte order mark inside": ('\ufeff{"messages": []}', "not-json"),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("format", FORMATS[:4])
def test_a_line_that_is_no_row_is_refused_and_the_rest_is_checked(name: str, format: Format, tmp_path: Path) -> None:
    line, rule = LINES[name]
    good = next(row for each, kind, row in GOOD.values() if each == format)
    report = validate(written(tmp_path, good, line, good), format)
    assert [(finding.line, finding.rule) for finding in report.findings] == [(2, rule)]
    assert report.rows == 3


def test_a_whole_pair_of_surrogates_is_text(tmp_path: Path) -> None:
    line = json.dumps({"messages": [ASK, END | {"content": "\U0001f600"}]})
    assert "\\ud83d" in line
    assert not validate(written(tmp_path, line), "together").findings


def test_a_long_line_is_measured_but_not_kept(tmp_path: Path) -> None:
    good: Row = {"messages": CHAT}
    most = "x" * (MAX_LINE_BYTES - len(json.dumps({"messages": [ASK, END | {"content": ""}]})))
    for more, findings in ((0, 0), (1, 1), (MAX_LINE_BYTES * 2, 1)):
        row = {"messages": [ASK, END | {"content": most + "x" * more}]}
        report = validate(written(tmp_path, json.dumps(row), good), "openai")
        assert (report.rows, report.total) == (2, findings)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_byte_order_mark_is_refused(mark: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, mark + json.dumps({"messages": CHAT}).encode())
    assert places(validate(path, "together")) == [(1, "", "byte-order-mark")]


def test_line_ends_of_windows_and_a_missing_last_one_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    row = json.dumps({"messages": CHAT}).encode()
    path.write_bytes(row + b"\r\n" + row)
    assert validate(path, "together") == Report(2, "sft", (), 0)


@pytest.mark.parametrize("format", FORMATS[:4])
def test_an_empty_file_is_refused(format: Format, tmp_path: Path) -> None:
    assert places(validate(written(tmp_path), format)) == [(0, "", "empty-file")]


@pytest.mark.parametrize("format", ["together", "openai", "trl", "sharegpt"])
def test_kinds_do_not_mix(format: Format, tmp_path: Path) -> None:
    rows = {kind: row for each, kind, row in GOOD.values() if each == format}
    path = written(tmp_path, rows["sft"], rows["preference"], rows["sft"])
    assert places(validate(path, format)) == [(2, "", "mixed-kinds")]
    assert [line for line, _, _ in places(validate(path, format, "preference"))] == [1, 3]


def test_a_row_that_says_nothing_does_not_decide_the_kind(tmp_path: Path) -> None:
    report = validate(written(tmp_path, {}, PAIR), "together")
    assert report.kind == "preference"
    assert {line for line, _, _ in places(report)} == {1}


def test_findings_are_capped_and_counted(tmp_path: Path) -> None:
    report = validate(written(tmp_path, *[{"messages": []}] * (MAX_FINDINGS + 20)), "together")
    assert len(report.findings) == MAX_FINDINGS
    assert report.total == report.rows == MAX_FINDINGS + 20


def test_together_files_are_shown_to_its_sdk(tmp_path: Path) -> None:
    path = written(tmp_path, {"messages": CHAT}, name="train.txt")
    assert places(validate(path, "together")) == [(0, "", "together-sdk")]
    assert not validate(path, "openai").findings


def test_progress_adds_up(tmp_path: Path) -> None:
    path = written(tmp_path, {"messages": CHAT}, "", "x" * (MAX_LINE_BYTES * 2))
    sizes: list[int] = []
    validate(path, "together", progress=sizes.append)
    assert sum(sizes) == path.stat().st_size


def test_parquet_has_progress_too(tmp_path: Path) -> None:
    path = parquet(tmp_path, f"SELECT {QUESTION} AS prompt, {ANSWER} AS completion FROM range(1000)")
    sizes: list[int] = []
    assert validate(path, "parquet", progress=sizes.append).rows == 1000
    assert len(sizes) > 1
    assert 0.9 < sum(sizes) / path.stat().st_size <= 1


def parquet(tmp_path: Path, select: str) -> Path:
    path = tmp_path / "train.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


QUESTION = "[{'role': 'user', 'content': 'q'}]"
ANSWER = "[{'role': 'assistant', 'content': 'a'}]"
PARQUET = {
    f"SELECT {QUESTION} AS prompt, {ANSWER} AS completion": [],
    f"SELECT {QUESTION} AS prompt, {ANSWER} AS chosen, {ANSWER} AS rejected": [(1, "rejected", "identical-pair")],
    f"SELECT {ANSWER} AS prompt, {ANSWER} AS completion": [
        (1, "prompt[0]", "role-order"),
        (1, "prompt[0]", "last-role"),
    ],
    f"SELECT 'q' AS prompt, {ANSWER} AS completion": [(1, "prompt", "wrong-type")],
    f"SELECT {QUESTION} AS prompt, {ANSWER} AS completion, 1.0 AS weight": [(1, "weight", "unknown-field")],
    f"SELECT {QUESTION} AS prompt, NULL AS completion": [(1, "completion", "wrong-type")],
    f"SELECT {QUESTION} AS prompt, {ANSWER} AS completion LIMIT 0": [(0, "", "empty-file")],
    "SELECT [1, 2] AS input_ids, [1, 1] AS attention_mask": [
        (1, "prompt", "missing-field"),
        (1, "completion", "missing-field"),
        (1, "input_ids", "unknown-field"),
        (1, "attention_mask", "unknown-field"),
    ],
}


@pytest.mark.parametrize("select", PARQUET)
def test_parquet_has_the_rules_of_trl(select: str, tmp_path: Path) -> None:
    assert places(validate(parquet(tmp_path, select), "parquet")) == PARQUET[select]


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really PAR1", b'{"prompt": []}\n'])
def test_what_is_no_parquet_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(content)
    assert places(validate(path, "parquet")) == [(0, "", "not-parquet")]


def test_a_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UsageError, match=path.name):
            validate(path, "together")


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, says in ((tmp_path, "is a folder"), (pipe, "is no regular file"), (tmp_path / "no", "there is no such")):
        assert main(["validate", str(path), "--format", "together"]) == 4
        assert f"{path}: {says}" in capsys.readouterr().err


def test_one_finding_is_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(written(tmp_path, "{")), "--format", "together"]) == 1
    assert capsys.readouterr().out.endswith(", 1 finding\n")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path, {"messages": CHAT})
    assert main(["validate", str(good), "--format", "together"]) == 0
    assert capsys.readouterr().out == f"{good}: 1 sft rows for together, nothing found\n"

    bad = written(tmp_path, {"messages": CHAT, "evil\x1b": 1}, *[{"messages": []}] * MAX_FINDINGS)
    assert main(["validate", str(bad), "--format", "openai", "--kind", "sft"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{bad}:1: "evil\\u001b" is no field of this format [unknown-field]'
    assert lines[1] == f"{bad}:2: messages must have at least 1 item, not 0 [message-count]"
    assert lines[-2:] == ["... and 1 more", f"{bad}: 101 sft rows for openai, 101 findings"]

    assert main(["validate", str(tmp_path / "none"), "--format", "trl"]) == 4
    assert main(["validate", str(good), "--format", "csv"]) == 4
    assert "none: there is no such file" in capsys.readouterr().err


def test_every_rule_is_documented_and_shown_to_be_broken() -> None:
    page = (ROOT / "docs/formats.md").read_text().splitlines()
    documented = [line.split("`")[1] for line in page if line.startswith("| `")]
    shown = {rule for _, _, _, rule in BAD.values()} | {rule for _, rule in LINES.values()}
    elsewhere = {"byte-order-mark", "empty-file", "mixed-kinds", "not-parquet", "together-sdk"}
    assert sorted(documented) == sorted(shown | elsewhere)
