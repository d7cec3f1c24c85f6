"""A corrected program with the place of every syntax node in its text, so that a bug can be a change of text alone."""

from __future__ import annotations

import ast
import keyword
import re

from pytest_repoagent.models.edits.program import Program, parse

Splice = tuple[int, int, bytes]
"""Byte offsets of what goes, and what comes in its place."""

Node = ast.expr | ast.stmt
_ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Call, ast.List, ast.Dict, ast.Set, ast.ListComp)


class Original:
    """A program's text and facts.

    Attributes:
        data: the text in UTF-8, which is what syntax nodes count columns in.
        program: what can be read off it without running it.
    """

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        self.program = Program(source)
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: Node) -> tuple[int, int]:
        """First byte of a node and the one after its last; brackets that only group it are not part of it."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[node.end_lineno - 1] + node.end_col_offset

    def outer(self, node: Node) -> tuple[int, int]:
        """The span of a node with the brackets that only group it."""
        begin, end = self.span(node)
        while True:
            before, after = self.data[:begin].rstrip(b" "), self.data[end:].lstrip(b" ")
            word = re.search(rb"[\w)\]}\"']*$", before[:-1].rstrip(b" "))
            called = word is not None and word[0] and not keyword.iskeyword(word[0].decode())
            if not before.endswith(b"(") or not after.startswith(b")") or called:
                return begin, end
            begin, end = len(before) - 1, len(self.data) - len(after) + 1

    def text(self, node: Node) -> bytes:
        """The text of a node, with the brackets that only group it."""
        begin, end = self.outer(node)
        return self.data[begin:end]

    def between(self, left: Node, right: Node, old: str, new: str) -> Splice | None:
        """Another operator between two operands; None where the text between them is not plain enough to tell."""
        begin, end = self.span(left)[1], self.span(right)[0]
        gap = self.data[begin:end]
        if gap.count(old.encode()) != 1:
            return None
        return begin, end, gap.replace(old.encode(), new.encode())

    def keep(self, whole: ast.expr, part: ast.expr) -> Splice | None:
        """The splice that leaves of an expression only a part, with no more brackets than that needs."""
        wanted = self._dump_with(whole, part)
        inner, grouped = self.data[slice(*self.span(part))], self.text(part)
        for (begin, end), text in ((self.outer(whole), inner), (self.outer(whole), grouped), (self.span(whole), inner)):
            splice = begin, end, text
            try:
                if ast.dump(parse(self.spliced(splice))) == wanted:
                    return splice
            except SyntaxError:
                continue
        return None

    def plus(self, node: ast.expr, text: str) -> Splice:
        """Something added at the end of an expression."""
        end = self.outer(node)[1]
        return end, end, text.encode()

    def spliced(self, *splices: Splice) -> str:
        """The text with the splices applied, which must not overlap."""
        data = self.data
        for begin, end, new in sorted(splices, reverse=True):
            data = data[:begin] + new + data[end:]
        return data.decode()

    def is_alone(self, node: ast.stmt) -> bool:
        """Whether a statement has its lines to itself."""
        begin, end = self.span(node)
        head = self._starts[node.lineno - 1]
        tail = self._starts[node.end_lineno or 0]
        return not self.data[head:begin].strip() and not self.data[end:tail].split(b"#")[0].strip()

    def line(self, node: ast.stmt) -> tuple[int, int]:
        """The span of the lines of a statement."""
        return self._starts[node.lineno - 1], self._starts[node.end_lineno or 0]

    def is_atom(self, node: ast.AST | None) -> bool:
        """Whether an operator after the node takes it whole."""
        return isinstance(node, _ATOMS)

    def _dump_with(self, whole: ast.expr, part: ast.expr) -> str:
        """The dump of the tree with a part in place of the whole; the tree is changed for the moment."""
        parent, field = self.program.parent(whole), self.program.field(whole)
        value = getattr(parent, field)
        setattr(parent, field, [part if v is whole else v for v in value] if isinstance(value, list) else part)
        dump = ast.dump(self.program.tree)
        setattr(parent, field, value)
        return dump
