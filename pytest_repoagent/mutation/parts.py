"""Mutations that leave something out, or write another constant."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import LEAVES, SIMPLE, names_stored
from pytest_repoagent.mutation.original import Original, Splice

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


def constant(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another constant: a container that is empty or holds one thing, the other truth value, a shorter text."""
    for node in original.program.sites:
        if isinstance(node, ast.expr) and not _is_infinity(original.program.parent(node)):
            for new in _constants(original, node):
                yield ((*original.span(node), new),)


def _constants(original: Original, node: ast.expr) -> Iterator[bytes]:
    text = original.data[slice(*original.span(node))]
    match node:
        case ast.List(elts=[], ctx=ast.Load()):
            yield b"[[]]"
        case ast.List(elts=[only], ctx=ast.Load()):
            yield b"[]"
            if not isinstance(only, ast.Starred):
                yield b"[" + text + b"]"
        case ast.Constant(value=bool(truth)):
            yield b"False" if truth else b"True"
        case ast.Constant(value=str(value)) if text[:1] in (b'"', b"'") and text[:3] not in (b'"""', b"'''"):
            if not value or value == " ":
                yield text[:1] + (b"" if value else b" ") + text[:1]
            elif len(value) > 1 and b"\\" not in text:
                yield text[:1] + value[1:].encode() + text[:1]
                yield text[:1] + value[:-1].encode() + text[:1]
        case _ if _is_infinity(node):
            yield b"0"
            yield b"-" + text
        case ast.UnaryOp(op=ast.USub()):
            yield text[1:].lstrip()


def _is_infinity(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value="inf")]):
            return True
    return False


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
