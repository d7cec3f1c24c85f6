"""The four tools over a workspace. Each returns text for the model, or raises :class:`Refused`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_repoagent.protocol.actions import TOOLS, ToolSpec
from pytest_repoagent.workspace import Refused, Workspace

MAX_READ_CHARS = 40_000
MAX_LISTED = 2_000
MAX_HITS = 200
MAX_PATTERN_CHARS = 1_000
MAX_SEARCHED_BYTES = 2 << 20
MAX_LINE_CHARS = 300


@dataclass(frozen=True)
class Tool:
    """A tool: what the model sees of it, and what it does.

    ``run(workspace, args)`` gets exactly the arguments of the spec, of the right JSON types.
    """

    spec: ToolSpec
    run: Callable[[Workspace, Mapping[str, Any]], str]


def list_files(workspace: Workspace, args: Mapping[str, Any]) -> str:
    """Relative paths, one a line, sorted."""
    most = _bounded("max_files", args["max_files"], MAX_LISTED)
    paths = workspace.paths(args["rel_dir"])
    left = len(paths) - most
    return "\n".join(paths[:most]) + (f"\n[truncated: {left} more files]" if left > 0 else "")


def read_file(workspace: Workspace, args: Mapping[str, Any]) -> str:
    """The file's first ``max_chars`` characters as they are."""
    most = _bounded("max_chars", args["max_chars"], MAX_READ_CHARS)
    excerpt = workspace.excerpt(args["rel_path"], most)
    if not excerpt.cut:
        return excerpt.text
    return f"{excerpt.text}\n[truncated: the first {len(excerpt.text)} characters of {excerpt.size} bytes]"


def grep(workspace: Workspace, args: Mapping[str, Any]) -> str:
    """``path:line:text`` of every line in which the pattern starts to match.

    RE2 matches in time linear in the file, so no pattern can hang the driver; see ``_compile`` for its bounds.
    """
    most = _bounded("max_hits", args["max_hits"], MAX_HITS)
    pattern = _compile(args["pattern"])
    hits: list[str] = []
    skipped: list[str] = []
    for path in workspace.paths(args["rel_dir"]):
        data = workspace.data(path, MAX_SEARCHED_BYTES)
        if data is None:
            skipped.append(path)
            continue
        hits += _matching_lines(pattern, path, data, most + 1 - len(hits))
        if len(hits) > most:
            hits[most:] = [f"[truncated: more than {most} matching lines]"]
            break
    if not hits:
        hits.append("no matches")
    if skipped:
        hits.append(f"[not searched, binary or over {MAX_SEARCHED_BYTES} bytes: {', '.join(skipped[:5])}]")
    return "\n".join(hits)


def write_file(workspace: Workspace, args: Mapping[str, Any]) -> str:
    """Replace the whole file; says so where the tests will not see it."""
    path = workspace.write(args["rel_path"], args["content"])
    note = "" if workspace.is_judged(path) else " The tests do not use your version of this file."
    return f"Wrote {path} ({len(args['content'])} chars).{note}"


BUILT_IN: tuple[Tool, ...] = tuple(
    Tool(spec, run) for spec, run in zip(TOOLS, (list_files, read_file, grep, write_file), strict=True)
)


def _bounded(name: str, value: int, most: int) -> int:
    if value < 1:
        raise Refused("out_of_range", f"{name} is {value}; it must be at least 1")
    return min(value, most)


@lru_cache(maxsize=64)
def _compile(pattern: str) -> Any:
    """Compile with RE2, ``^`` and ``$`` matching at lines.

    Raises:
        Refused: ``empty_value``, or ``invalid_regex`` where RE2 rejects it (back-references and look-around among
            others), where it is longer than 1,000 characters, or where its program needs over 16 MiB.
    """
    import re2

    if not pattern:
        raise Refused("empty_value", "the pattern is empty")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise Refused("invalid_regex", f"the pattern is longer than {MAX_PATTERN_CHARS} characters")
    options = re2.Options()
    options.max_mem = 16 << 20
    options.log_errors = False
    try:
        return re2.compile(b"(?m)" + pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else error
        text = (reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)).replace("(?m)", "")
        raise Refused(
            "invalid_regex", f"RE2 does not take this pattern ({text[:120]}); escape ( ) [ ] with a backslash"
        ) from None


def _matching_lines(pattern: Any, path: str, data: bytes, most: int) -> list[str]:
    """At most ``most`` hits, at most one a line; each search starts where a line starts."""
    hits: list[str] = []
    position, line = 0, 1
    while len(hits) < most and position < len(data):
        match = pattern.search(data, position)
        if match is None or match.start() >= len(data):
            break
        line += data.count(b"\n", position, match.start())
        start = data.rfind(b"\n", 0, match.start()) + 1
        end = data.find(b"\n", match.start())
        end = len(data) if end < 0 else end
        text = data[start:end].rstrip(b"\r").decode("utf-8", "replace")
        hits.append(f"{path}:{line}:{text[:MAX_LINE_CHARS]}")
        position, line = end + 1, line + 1
    return hits
