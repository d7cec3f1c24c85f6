"""Operators on statements: one too many, out of order, the wrong kind of assignment or of leaving."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from itertools import pairwise

from pytest_repoagent.models.edits.build import replace
from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.numbers import other_operators
from pytest_repoagent.models.edits.program import LEAVES, LOOP, SIMPLE, Program, names_read, names_stored
from pytest_repoagent.models.edits.splice import Change


def assignment_operator(program: Program) -> Iterator[Change]:
    """Another augmented assignment, a plain one instead, or an augmented one instead of a plain one."""
    for node in program.of(ast.AugAssign):
        for op, weight in other_operators(node.op):
            yield replace(node, ast.AugAssign(node.target, op, node.value), "assignment", weight)
        yield replace(node, ast.Assign([node.target], node.value), "assignment", 0.5)
    for plain in program.of(ast.Assign):
        target = plain.targets[0]
        kind = program.kinds.of(plain.value) & (Kind.NUMBER | Kind.SEQUENCE | Kind.TEXT)
        fresh = not any(n in names_read(plain.value) for n in names_stored(target))
        if isinstance(target, (ast.Name, ast.Subscript)) and fresh and kind and program.loop_around(plain):
            yield replace(plain, ast.AugAssign(target, ast.Add(), plain.value), "assignment", 0.5)


def call_for_assignment(program: Program) -> Iterator[Change]:
    """``x = y`` for ``x.method(y)``."""
    for node in program.of(ast.Expr):
        match node.value:
            case ast.Call(
                func=ast.Attribute(value=ast.Name() | ast.Subscript() | ast.Attribute() as owner), args=[value]
            ):
                target = copy.copy(owner)
                target.ctx = ast.Store()
                weight = 0.5 if isinstance(owner, ast.Subscript) else 0.1
                yield replace(node, ast.Assign([target], value), "assignment", weight)


def leave(program: Program) -> Iterator[Change]:
    """``break`` for ``continue``, ``return`` for ``yield``, ``yield from`` for ``yield``, and back."""
    for node in program.sites:
        match node:
            case ast.Break():
                yield replace(node, ast.Continue(), "leave")
            case ast.Continue():
                yield replace(node, ast.Break(), "leave")
            case ast.Yield(value=ast.expr() as value):
                yield replace(node, ast.YieldFrom(value), "leave")
            case ast.YieldFrom(value=value):
                yield replace(node, ast.Yield(value), "leave")
            case ast.Expr(value=ast.Yield(value=value)):
                yield replace(node, ast.Return(value), "leave", 0.5)
            case ast.Expr(value=value) if program.functions_around(node):
                sign = 1.0 if _acts(program, value) else 5.0
                yield replace(node, ast.Return(value), "leave", 0.7, sign)
            case ast.Return(value=ast.expr() as value):
                yield replace(node, ast.Expr(ast.Yield(value)), "leave", 0.4)


def superfluous(program: Program) -> Iterator[Change]:
    """One statement less; seldom the only one that sets a variable which is read."""
    for node in program.of(*SIMPLE, *LEAVES):
        stored = names_stored(node) if isinstance(node, ast.Assign) else []
        needed = any(n in program.read_names and len(program.assignments[n]) == 1 for n in stored)
        yield Change(node, (), "superfluous", 0.2 if needed else 1.0)


def order(program: Program) -> Iterator[Change]:
    """A simple statement moved: over its neighbour, or to the other side of the end of its loop or condition."""
    for first, second in _neighbours(program):
        if isinstance(second, SIMPLE) and isinstance(first, SIMPLE) and _depend(first, second):
            yield Change(first, (second, first), "order", 0.5, drop=second)
        elif isinstance(second, (*SIMPLE, *LEAVES)) and isinstance(first, (*LOOP, ast.If)):
            yield Change(first.body[-1], (first.body[-1], second), "order", 0.5, drop=second)
    for block in program.of(*LOOP, ast.If):
        if isinstance(block, (*LOOP, ast.If)) and len(block.body) > 1:
            last = block.body[-1]
            if isinstance(last, (*SIMPLE, *LEAVES)):
                yield Change(block, (block, last), "order", 0.7, drop=last)


def _neighbours(program: Program) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    for node in ast.walk(program.tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from pairwise(value)


def _depend(first: ast.stmt, second: ast.stmt) -> bool:
    """Whether the order of two statements matters."""
    return any(n in names_read(second) for n in names_stored(first)) or any(
        n in (*names_read(first), *names_stored(first)) for n in names_stored(second)
    )


def _acts(program: Program, value: ast.expr) -> bool:
    """Whether a bare expression may be there for its effect."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return not any(f.name == value.func.id and _gives(f) for f in program.functions) and not program.kinds.of(value)
    return isinstance(value, (ast.Call, ast.Yield, ast.YieldFrom, ast.Await))


def _gives(function: ast.AST) -> bool:
    return any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(function))
