"""Is a training file what its trainer takes? One streaming pass; nothing is sent anywhere.

Trainers drop, cut or mis-train rows that they should refuse, so this refuses whatever any version of them refuses and
whatever would not train as written: ``docs/formats.md`` has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from builders.formats import Format, Kind
from builders.lines import Refused, field_name, read_lines, read_parquet
from builders.rules import breaches
from builders.wire import ROWS
from pytest_repoagent.errors import UsageError

MAX_FINDINGS = 100
"""How many findings a report keeps; the rest are counted."""


class Finding(NamedTuple):
    """One breach of one rule.

    Attributes:
        line: line of the file or row of the Parquet file, from 1; 0 for the file as a whole.
        path: the field, such as ``messages[2].weight``; empty for the line as a whole.
        rule: its name in ``docs/formats.md``.
        message: what is wrong.
    """

    line: int
    path: str
    rule: str
    message: str

    def text(self, file: Path) -> str:
        """The finding as one line for people."""
        place = f"{file}:{self.line}" if self.line else f"{file}"
        return f"{place}: {self.path + ' ' if self.path else ''}{self.message} [{self.rule}]"


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        rows: rows read, good or bad.
        kind: what the rows are for; None where none says.
        findings: the first ``MAX_FINDINGS`` of them.
        total: how many there are.
    """

    rows: int
    kind: Kind | None
    findings: tuple[Finding, ...]
    total: int


def validate(
    path: Path, format: Format, kind: Kind | None = None, progress: Callable[[int], None] | None = None
) -> Report:
    """Check a file against every rule of a format.

    Args:
        path: the file.
        format: whose rules.
        kind: what its rows must be; by default what the first row is that says.
        progress: told how many bytes more were read.

    Raises:
        UsageError: the file cannot be read.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "there is no such file"
        raise UsageError(f"{path}: {what}")
    check = _Check(format, kind)
    try:
        for number, value in (read_parquet if format == "parquet" else read_lines)(path, progress):
            check.row(number, value)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if not check.rows:
        check.found(0, "", "empty-file", "has no rows")
    if format == "together" and not check.total:
        _ask_sdk(path, check)
    return Report(check.rows, check.kind, tuple(check.findings), check.total)


class _Check:
    """What one pass has seen."""

    def __init__(self, format: Format, kind: Kind | None) -> None:
        self.kind = kind
        self.rows = 0
        self.total = 0
        self.findings: list[Finding] = []
        self._models = ROWS[format]
        self._sft, self._preference = (set(self._models[each].model_fields) for each in ("sft", "preference"))

    def found(self, line: int, path: str, rule: str, message: str) -> None:
        """Count a finding, and keep it while there are few."""
        self.total += 1
        if self.total <= MAX_FINDINGS:
            self.findings.append(Finding(line, path, rule, message))

    def row(self, line: int, value: dict[str, Any] | Refused) -> None:
        """Check one row."""
        self.rows += 1
        if isinstance(value, Refused):
            self.found(line, value.path, value.rule, value.message)
            return
        kind = self._kind_of(value)
        self.kind = self.kind or kind
        if kind and kind != self.kind:
            self.found(line, "", "mixed-kinds", f"is a row for {kind} in a file for {self.kind}")
            return
        try:
            row = self._models[self.kind or "sft"].model_validate(value)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                rule = detail["type"]
                self.found(line, _path(detail["loc"]), _RULES.get(rule, rule), _sentence(detail["msg"]))
            return
        for path, rule, message in breaches(row):
            self.found(line, path, rule, message)

    def _kind_of(self, value: dict[str, Any]) -> Kind | None:
        """What the row's fields say it is for, if they say anything."""
        if value.keys() & (self._preference - self._sft):
            return "preference"
        return "sft" if value.keys() & self._sft else None


def _ask_sdk(path: Path, check: _Check) -> None:
    """What the installed Together SDK says of the whole file."""
    from together.lib.utils import check_file

    report = check_file(path)
    if not report["is_check_passed"]:
        check.found(int(report.get("line_number") or 0), "", "together-sdk", f"is refused: {report['message']}")


_RULES = {
    "missing": "missing-field",
    "extra_forbidden": "unknown-field",
    "too_short": "message-count",
    "too_long": "message-count",
    "literal_error": "bad-value",
    "string_too_short": "bad-value",
    "greater_than_equal": "bad-value",
    "less_than_equal": "bad-value",
    "finite_number": "bad-value",
    "string_type": "wrong-type",
    "int_type": "wrong-type",
    "int_from_float": "wrong-type",
    "float_type": "wrong-type",
    "bool_type": "wrong-type",
    "list_type": "wrong-type",
    "dict_type": "wrong-type",
    "model_type": "wrong-type",
}
"""Pydantic's name of an error -> the rule; rules of our own have their name already."""


def _path(loc: tuple[int | str, ...]) -> str:
    """``messages[2].content`` for pydantic's location."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{field_name(part)}" for part in loc)
    return path.removeprefix(".")


def _sentence(message: str) -> str:
    """Pydantic's words, to go on after a path."""
    for theirs, ours in _WORDS.items():
        message = re.sub(theirs, ours, message)
    return message


_WORDS = {
    "^Field required": "is missing",
    "^Extra inputs are not permitted": "is no field of this format",
    "^(Input|List|String) should": "must",
    "a valid dictionary or instance of .*": "an object",
    " after validation": "",
}
