"""One spelling for expressions that mean the same, so that no candidate is tried twice in two spellings."""

from __future__ import annotations

import ast
import copy

from pytest_repoagent.models.edits.kinds import Kind, Kinds

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def meaning(nodes: tuple[ast.AST, ...], kinds: Kinds) -> str:
    """A text that is equal for nodes of equal meaning, as far as this module knows."""
    spelling = _Spelling(kinds)
    return "\n".join(ast.dump(spelling.visit(copy.deepcopy(node))) for node in nodes)


class _Spelling(ast.NodeTransformer):
    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """``not a < b`` is ``a >= b``."""
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[op], comparators=rest)):
                return self.visit_Compare(ast.Compare(left, [_NEGATED[type(op)]()], rest))
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """``a > b`` is ``b < a``; ``b == a`` is ``a == b``."""
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        op, left, right = node.ops[0], node.left, node.comparators[0]
        turned = isinstance(op, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)) and ast.dump(left) > ast.dump(right)
        if type(op) in _TURNED or turned:
            return ast.Compare(right, [_TURNED.get(type(op), type(op))()], [left])
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """``b and a`` is ``a and b``, as long as neither fails."""
        self.generic_visit(node)
        return ast.BoolOp(node.op, sorted(node.values, key=ast.dump))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """``b + a`` is ``a + b`` of numbers, and ``b * a`` of anything; ``a + 1 - 1`` is ``a``."""
        self.generic_visit(node)
        match node:
            case ast.BinOp(ast.BinOp(a, ast.Add(), b), ast.Sub(), c) if ast.dump(c) in (ast.dump(a), ast.dump(b)):
                return b if ast.dump(c) == ast.dump(a) else a
            case ast.BinOp(ast.BinOp(a, ast.Sub(), b), ast.Add(), c) if ast.dump(c) == ast.dump(b):
                return a
            case ast.BinOp(left, ast.Add() | ast.Mult() as op, right) if ast.dump(left) > ast.dump(right):
                if isinstance(op, ast.Mult) or not self.kinds.of(node) & (Kind.SEQUENCE | Kind.TEXT):
                    return ast.BinOp(right, op, left)
        return node
