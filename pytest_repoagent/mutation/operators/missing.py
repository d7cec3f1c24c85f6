"""Mutations that leave something out: a call, what is joined, a line."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import LEAVES, SIMPLE, names_stored
from pytest_repoagent.mutation.operators.original import Original, Splice

_NO_FILTER = ("isinstance", "print", "super", "range", "open")


def missing_call(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Only an argument of a call, or only the value whose method is called."""
    for node in original.program.of(ast.Call):
        if isinstance(original.program.parent(node), ast.Expr):
            continue
        parts = [a for a in node.args[:2] if not isinstance(a, (ast.Starred, ast.GeneratorExp))]
        if isinstance(node.func, ast.Name) and node.func.id in _NO_FILTER:
            continue
        if isinstance(node.func, ast.Attribute) and len(node.args) <= 1:
            parts = [node.func.value, *parts]
        for part in parts:
            if splice := original.keep(node, part):
                yield (splice,)


def missing_join(original: Original) -> Iterator[tuple[Splice, ...]]:
    """A list or text without what is put before or after it."""
    for node in original.program.of(ast.BinOp):
        if isinstance(node.op, ast.Add) and original.program.kinds.of(node) & (Kind.SEQUENCE | Kind.TEXT):
            for part in (node.left, node.right):
                if splice := original.keep(node, part):
                    yield (splice,)


def missing_line(original: Original) -> Iterator[tuple[Splice, ...]]:
    """A statement less, out of a block that has others, unless it alone gives a variable its value."""
    program = original.program
    for node in program.of(*SIMPLE, *LEAVES):
        if not isinstance(node, ast.stmt):
            continue
        block = getattr(program.parent(node), program.field(node))
        stored = names_stored(node) if isinstance(node, ast.Assign) else []
        needed = any(len(program.assignments[name]) == 1 for name in stored)
        if len(block) > 1 and not needed and original.is_alone(node):
            yield ((*original.line(node), b""),)
