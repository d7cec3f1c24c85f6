"""Short spellings for new syntax nodes."""

from __future__ import annotations

import ast

from pytest_repoagent.models.edits.splice import Change


def name(text: str) -> ast.Name:
    """A variable that is read."""
    return ast.Name(text, ast.Load())


def stored(text: str) -> ast.Name:
    """A variable that is bound."""
    return ast.Name(text, ast.Store())


def const(value: int | float | str | bool | None) -> ast.expr:
    """A literal; the parser spells a negative number as minus a positive one."""
    if not isinstance(value, (str, bool)) and value is not None and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def call(function: str | ast.expr, *arguments: ast.expr) -> ast.Call:
    """A call with positional arguments."""
    return ast.Call(name(function) if isinstance(function, str) else function, list(arguments), [])


def method(owner: ast.expr, attribute: str, *arguments: ast.expr) -> ast.Call:
    """A call of a method."""
    return ast.Call(ast.Attribute(owner, attribute, ast.Load()), list(arguments), [])


def compare(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.Compare:
    """One comparison."""
    return ast.Compare(left, [op], [right])


def negated(test: ast.expr) -> ast.expr:
    """``not test``, without a second ``not``."""
    return (
        test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)
    )


def both(op: ast.boolop, *tests: ast.expr) -> ast.BoolOp:
    """``and`` or ``or`` of tests, flattened."""
    values: list[ast.expr] = []
    for test in tests:
        values += test.values if isinstance(test, ast.BoolOp) and type(test.op) is type(op) else [test]
    return ast.BoolOp(op, values)


def listed(*elements: ast.expr) -> ast.List:
    """A list display."""
    return ast.List(list(elements), ast.Load())


def assign(target: str, value: ast.expr) -> ast.Assign:
    """``target = value``."""
    return ast.Assign([stored(target)], value)


def replace(target: ast.expr | ast.stmt, new: ast.AST, group: str, weight: float = 1.0, sign: float = 1.0) -> Change:
    """One node for another."""
    return Change(target, (new,), group, weight, sign)
