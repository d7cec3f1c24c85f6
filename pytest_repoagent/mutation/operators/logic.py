"""Mutations of comparisons and conditions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from pytest_repoagent.mutation.operators.original import Original, Splice

_SPELLING: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_OTHERS: dict[str, tuple[str, ...]] = {
    "<": ("<=", ">", ">="),
    "<=": ("<", ">=", ">"),
    ">": (">=", "<", "<="),
    ">=": (">", "<=", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
}


def comparison(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another comparison operator: its boundary, its direction, its negation."""
    for node in original.program.of(ast.Compare):
        for op, (left, right) in zip(node.ops, pairwise([node.left, *node.comparators]), strict=True):
            old = _SPELLING[type(op)]
            for new in _OTHERS[old]:
                if splice := original.between(left, right, old, new):
                    yield (splice,)


def connective(original: Original) -> Iterator[tuple[Splice, ...]]:
    """``or`` for ``and``, and the other way round."""
    for node in original.program.of(ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            if splice := original.between(left, right, old, new):
                yield (splice,)


def missing_condition(original: Original) -> Iterator[tuple[Splice, ...]]:
    """A condition without one of its operands or its ``not``, a loop or choice without its condition."""
    for node in original.program.sites:
        match node:
            case ast.BoolOp(values=[_, _] as values):
                for value in values:
                    if splice := original.keep(node, value):
                        yield (splice,)
            case ast.BoolOp(values=[first, second, *_] as values):
                yield ((original.outer(first)[0], original.outer(second)[0], b""),)
                for before, value in pairwise(values):
                    yield ((original.outer(before)[1], original.outer(value)[1], b""),)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                if splice := original.keep(node, operand):
                    yield (splice,)
            case ast.IfExp(body=body, orelse=orelse):
                for part in (body, orelse):
                    if splice := original.keep(node, part):
                        yield (splice,)
            case ast.comprehension(iter=over, ifs=ifs):
                for before, test in pairwise([over, *ifs]):
                    yield ((original.outer(before)[1], original.outer(test)[1], b""),)
            case ast.While(test=test) if not isinstance(test, ast.Constant):
                yield ((*original.outer(test), b"True"),)
