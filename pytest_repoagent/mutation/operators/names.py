"""Mutations of names: the wrong variable, two values exchanged, the wrong method or field."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.mutation.operators.original import Original, Splice

_RELATED = (
    ("append", "extend"),
    ("add", "update"),
    ("add", "discard"),
    ("pop", "popleft"),
    ("keys", "values", "items"),
    ("find", "rfind"),
    ("strip", "lstrip", "rstrip"),
    ("startswith", "endswith"),
    ("upper", "lower"),
    ("split", "rsplit"),
    ("isdigit", "isalpha", "isalnum"),
    ("union", "intersection", "difference"),
    ("ljust", "rjust"),
    ("heappush", "heappushpop"),
    ("min", "max"),
    ("any", "all"),
    ("sorted", "reversed"),
    ("floor", "ceil"),
)
_COMPATIBLE = 0.5
_SYMMETRIC = ("min", "max")
_COMMUTES = ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor


def variable(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another variable in sight, of a kind that fits."""
    program = original.program
    for node in program.of(ast.Name):
        visible = program.variables(node)
        if not isinstance(node.ctx, ast.Load) or node.id not in visible:
            continue
        for other in visible:
            fit = program.kinds.compatibility(program.kinds.name(other), program.kinds.name(node.id))
            if other != node.id and fit > _COMPATIBLE:
                yield ((*original.span(node), other.encode()),)


def swap(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Two arguments, operands, elements or answers exchanged."""
    for node in original.program.sites:
        for a, b in _pairs(original, node):
            yield _exchanged(original, a, b)


def _pairs(original: Original, node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Call(func=func, args=args):
            plain = [a for a in args if not isinstance(a, (ast.Starred, ast.GeneratorExp))]
            if not isinstance(func, ast.Name) or func.id not in _SYMMETRIC:
                yield from combinations(plain, 2)
        case ast.BinOp(left=left, op=op, right=right):
            joins = original.program.kinds.of(node) & (Kind.SEQUENCE | Kind.TEXT)
            if not isinstance(op, _COMMUTES) and (joins or not isinstance(op, ast.Add)):
                yield left, right
        case ast.Tuple(elts=elts):
            if not all(isinstance(e, ast.Constant) for e in elts):
                yield from combinations([e for e in elts if not isinstance(e, ast.Starred)], 2)
        case ast.Subscript(value=ast.Subscript(slice=first), slice=second):
            yield first, second
        case ast.IfExp(body=body, orelse=orelse):
            yield body, orelse


def _exchanged(original: Original, a: ast.expr, b: ast.expr) -> tuple[Splice, ...]:
    return (*original.outer(a), original.text(b)), (*original.outer(b), original.text(a))


def method(original: Original) -> Iterator[tuple[Splice, ...]]:
    """A related method or function."""
    for node in original.program.of(ast.Call):
        if isinstance(node.func, (ast.Attribute, ast.Name)):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            end = original.span(node.func)[1]
            for group in _RELATED:
                for other in group if called in group else ():
                    if other != called:
                        yield ((end - len(called.encode()), end, other.encode()),)


def field(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another field of the file, one field less, or one more."""
    program = original.program
    called = {node.func for node in program.of(ast.Call)}
    uses = [node for node in program.of(ast.Attribute) if node not in called]
    fields = dict.fromkeys(node.attr for node in uses)
    for node in uses:
        end = original.span(node)[1]
        for other in fields:
            if other != node.attr:
                yield ((end - len(node.attr.encode()), end, other.encode()),)
        if isinstance(node.ctx, ast.Load):
            yield ((*original.span(node), original.text(node.value)),)
    for name in program.of(ast.Name):
        whole = program.kinds.name(name.id) & Kind.OBJECT and not isinstance(program.parent(name), ast.Attribute)
        for other in fields if whole and isinstance(name.ctx, ast.Load) else ():
            yield (original.plus(name, f".{other}"),)
