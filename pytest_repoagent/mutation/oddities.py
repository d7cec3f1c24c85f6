"""Code that nobody writes, such as ``x + 0`` or ``a < a``: it would show where the bug is."""

from __future__ import annotations

import ast
from itertools import pairwise

_NEUTRAL: dict[type[ast.operator], int] = {
    ast.Add: 0,
    ast.Sub: 0,
    ast.Mult: 1,
    ast.FloorDiv: 1,
    ast.Div: 1,
    ast.Mod: 1,
    ast.Pow: 1,
}
_OF_TWO = ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BitXor


def count(tree: ast.AST) -> int:
    """How many such places there are."""
    return sum(_is_odd(node) for node in ast.walk(tree))


def _is_odd(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return _is_neutral(op, right) or (isinstance(op, _OF_TWO) and _same(left, right))
        case ast.AugAssign(target=left, op=op, value=right):
            return _is_neutral(op, right) or _same(left, right)
        case ast.Assign(targets=[*_, target], value=value):
            return _same(target, value)
        case ast.Compare(left=left, ops=ops, comparators=rest):
            return any(_decides_nothing(a, op, b) for op, (a, b) in zip(ops, pairwise([left, *rest]), strict=True))
        case ast.BoolOp(values=values):
            return any(_same(a, b) for a, b in pairwise(values))
        case ast.Call(args=parts) | ast.Tuple(elts=parts):
            return any(_same(a, b) for a, b in pairwise(parts) if not isinstance(a, ast.Constant))
        case ast.Slice(lower=ast.expr() as lower, upper=ast.expr() as upper):
            return _same(lower, upper)
        case ast.IfExp(body=body, orelse=orelse):
            return _same(body, orelse)
        case ast.While(test=ast.Constant(value=False)):
            return True
    return False


def _decides_nothing(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    constant = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
    return constant or _same(left, right) or (isinstance(op, (ast.Is, ast.IsNot)) and isinstance(left, ast.BinOp))


def _is_neutral(op: ast.operator, value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) is int and value.value == _NEUTRAL.get(type(op))


def _same(a: ast.expr, b: ast.expr) -> bool:
    return ast.unparse(a) == ast.unparse(b)
