"""Turn a change of the syntax tree into new source text that leaves everything else byte for byte as it was."""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_repoagent.models.edits.program import Program, parse, text_of

_Splice = tuple[int, int, bytes]
"""Byte offsets of what goes, and what comes in its place."""


@dataclass(frozen=True)
class Change:
    """One edit of a program, not yet text.

    Attributes:
        target: the expression or statement to replace.
        new: what stands there afterwards: one expression, or any number of statements, the target itself among
            them where something is put before or after it.
        group: the class of defect that the edit would mend.
        weight: plausibility among the edits of its group.
        sign: how much more likely a static sign of trouble at the target makes the edit; 1 where there is none.
        drop: a second statement, removed because ``new`` holds it: a move.
    """

    target: ast.expr | ast.stmt
    new: tuple[ast.AST, ...]
    group: str
    weight: float = 1.0
    sign: float = 1.0
    drop: ast.stmt | None = None


@dataclass(frozen=True)
class Edit:
    """One candidate: the whole new file, and what was done to it.

    Attributes:
        content: the file's text.
        group: the class of defect that the edit would mend.
        line: where in the original file.
        description: one line for people.
    """

    content: str
    group: str
    line: int
    description: str


def render(program: Program, change: Change) -> tuple[Edit, str] | None:
    """The edit and the dump of its syntax tree, or None where the change alters nothing or cannot be spliced.

    The text is proven: it compiles, and parses to exactly the tree that the change describes.
    """
    wanted = _wanted(program, change)
    if wanted == program.dump:
        return None
    for content in _texts(program, change):
        try:
            tree = parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if ast.dump(tree) == wanted and _compiles(tree):
            line = change.target.lineno
            return Edit(content, change.group, line, f"line {line}: {_describe(change)}"), wanted
    return None


def _wanted(program: Program, change: Change) -> str:
    """The dump of the tree as it should be; the tree is changed for the moment and put back."""
    undo = []
    for old in (change.drop, change.target):
        if old is None:
            continue
        new = copy.deepcopy(change.new) if old is change.target else ()
        parent, field = program.parent(old), program.field(old)
        value = getattr(parent, field)
        undo.append((parent, field, value))
        if isinstance(value, list):
            at = next(i for i, v in enumerate(value) if v is old)
            setattr(parent, field, [*value[:at], *new, *value[at + 1 :]] or [ast.Pass()])
        else:
            setattr(parent, field, new[0])
    dump = ast.dump(program.tree)
    for parent, field, value in reversed(undo):
        setattr(parent, field, value)
    return dump


def _compiles(tree: ast.Module) -> bool:
    """Whether the compiler takes the tree: ``return`` outside a function parses and is still an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(tree, "<candidate>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return False
    return True


def _texts(program: Program, change: Change) -> Iterator[str]:
    """Spellings of the changed file, the plainest first; some may not parse."""
    file = _File(program.source)
    if isinstance(change.target, ast.expr):
        for splice in file.expression(change.target, change.new[0]):
            yield file.spliced([splice])
        return
    splices = file.statements(program, change.target, change.new)
    if change.drop is not None:
        splices += file.statements(program, change.drop, ())
    yield file.spliced(splices)


class _File:
    """A source text in bytes, which is how syntax nodes count columns."""

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First and last byte of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def spliced(self, splices: list[_Splice]) -> str:
        """The text with the splices applied, which must not overlap."""
        data = self.data
        for begin, end, new in sorted(splices, key=lambda s: s[:2], reverse=True):
            data = data[:begin] + new + data[end:]
        return data.decode(errors="replace")

    def expression(self, old: ast.expr, new: ast.AST) -> Iterator[_Splice]:
        """Ways to write one expression for another: with brackets only where they are needed."""
        begin, end = self.span(old)
        text = text_of(new).encode()
        if text.startswith(b"(") and not self.data.startswith(b"(", begin):
            yield begin, end, text[1:-1]
        yield begin, end, text
        yield begin, end, b"(" + text + b")"

    def statements(self, program: Program, old: ast.stmt, new: tuple[ast.AST, ...]) -> list[_Splice]:
        """Statements before, after or in place of one."""
        begin, end = self.span(old)
        head, tail = self.starts[old.lineno - 1], self.starts[old.end_lineno or 0]
        alone = not self.data[head:begin].strip() and re.fullmatch(rb"\s*(#.*)?", self.data[end:tail], re.DOTALL)
        if not new and len(getattr(program.parent(old), program.field(old))) == 1:
            return [(begin, end, b"pass")]
        if not alone or (len(new) == 1 and not hasattr(new[0], "body")):
            kept = self.data[begin:end]
            parts = [kept if n is old else text_of(n).encode() for n in new]
            return [(begin, end, b"; ".join(parts))]
        at = next((i for i, n in enumerate(new) if n is old), None)
        if at is None:
            return [(head, tail, self._lines(old, new))]
        closed = b"" if self.data[:tail].endswith((b"\n", b"\r")) else self._newline(old)
        after = self._lines(old, new[at + 1 :])
        return [(head, head, self._lines(old, new[:at])), (tail, tail, closed + after if after else b"")]

    def _newline(self, near: ast.stmt) -> bytes:
        return b"\r\n" if b"\r\n" in self.data[: self.starts[near.lineno]] else b"\n"

    def _lines(self, near: ast.stmt, new: tuple[ast.AST, ...]) -> bytes:
        """New statements as lines that are indented like ``near``."""
        indent = self.data[self.starts[near.lineno - 1] : self.span(near)[0]]
        unit = b"\t" if b"\t" in indent else b"    "
        lines = []
        for line in (line for node in new for line in text_of(node).encode().split(b"\n")):
            text = line.lstrip(b" ")
            lines.append(indent + unit * ((len(line) - len(text)) // 4) + text + self._newline(near))
        return b"".join(lines)


def _describe(change: Change) -> str:
    old = _short(change.target)
    if isinstance(change.target, ast.expr):
        return f"`{old}` becomes `{_short(change.new[0])}`"
    added = "; ".join(f"`{_short(new)}`" for new in change.new if new is not change.target)
    verb = "is put" if change.drop is None else "moves"
    if not any(new is change.target for new in change.new):
        return f"`{old}` becomes {added}" if added else f"`{old}` is deleted"
    return f"{added} {verb} {'after' if change.new[0] is change.target else 'before'} `{old}`"


def _short(node: ast.AST) -> str:
    text = " ".join(text_of(node).split())
    return text if len(text) <= 80 else text[:77] + "..."
