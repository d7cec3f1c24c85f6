"""Operators that add a statement: where a container never grows, a loop never moves on, a result is never given."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from pytest_repoagent.models.edits import signs
from pytest_repoagent.models.edits.build import assign, const, method, name, stored
from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import LEAVES, NEAREST, Program, names_read, names_stored
from pytest_repoagent.models.edits.splice import Change

_GROWS = ((Kind.SEQUENCE, "append"), (Kind.SET, "add"))
_NEVER_GROWS = 6.0
_RUNS_OFF = 4.0

_New = Iterator[tuple[ast.stmt, float, float]]
"""Statements, each with its weight and sign."""


def missing_statement(program: Program) -> Iterator[Change]:
    """One more statement: before the first and after each statement of every block."""
    for node in program.of(ast.stmt):
        if isinstance(node, ast.ClassDef) or not program.functions_around(node):
            continue
        for source in (_growth, _progress, _copies):
            for new, weight, sign in source(program, node):
                if not isinstance(node, LEAVES):
                    yield Change(node, (node, new), "statement", weight, sign)
                if _is_first(program, node) or isinstance(node, LEAVES):
                    yield Change(node, (new, node), "statement", weight, sign)


def missing_return(program: Program) -> Iterator[Change]:
    """A result where a function that gives one elsewhere runs off its end."""
    for function in program.functions:
        last = function.body[-1]
        if _leaves(last):
            continue
        given = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
        bound = dict.fromkeys(n for s in function.body for n in names_stored(s))
        local = (*bound, *program.variables(last))
        for value in (*given, *(name(b) for b in bound), const(None)):
            if all(n in local for n in names_read(value)):
                yield Change(last, (last, ast.Return(value)), "statement", 1.0, _RUNS_OFF if given else 1.0)


def _growth(program: Program, node: ast.stmt) -> _New:
    """Put a value into a container; a container that nothing ever changes is a sign."""
    near = 1.0 if program.loop_around(node) or isinstance(program.parent(node), ast.If) else 0.5
    variables = _visible(program, node)
    for holder in variables:
        if not _made_here(program, holder):
            continue
        kind = program.kinds.name(holder)
        sign = 1.0 if holder in program.grown else _NEVER_GROWS
        for item in variables:
            if item == holder or program.kinds.name(item) & (Kind.SET | Kind.FUNCTION):
                continue
            for container, grow in _GROWS:
                if kind & container:
                    yield ast.Expr(method(name(holder), grow, name(item))), near, sign
            if kind & Kind.MAP:
                for value in variables:
                    if value not in (holder, item):
                        slot = ast.Subscript(name(holder), name(item), ast.Store())
                        yield ast.Assign([slot], name(value)), 0.3 * near, sign


def _progress(program: Program, node: ast.stmt) -> _New:
    """Move a variable on, or let it take over another one's value."""
    loop = program.loop_around(node)
    if loop is None:
        return
    variables = _visible(program, node)
    for target, first in _starts(program, loop):
        if target in variables:
            yield assign(target, first), 0.6, 1.0
    for target in variables:
        kind = program.kinds.name(target)
        sign = max(signs.idle(program, target, loop), signs.skipped(program, target, node))
        if kind & Kind.NUMBER:
            for op in (ast.Add(), ast.Sub()):
                yield ast.AugAssign(stored(target), op, const(1)), 0.5, sign
        for other in variables:
            fit = program.kinds.compatibility(program.kinds.name(other), kind)
            if other != target and fit > 0.3:
                yield assign(target, name(other)), 0.2 * fit, sign


def _starts(program: Program, loop: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Variables that a loop adds to and their literal values before it: what a forgotten reset would restore."""
    grown = [n for s in ast.walk(loop) if isinstance(s, ast.AugAssign) for n in names_stored(s.target)]
    for node in program.of(ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in grown and isinstance(node.value, ast.Constant):
                yield target.id, node.value


def _copies(program: Program, node: ast.stmt) -> _New:
    """A simple statement of the same function once more, in the same block also with one variable for another.

    The ingredients of a fix tend to stand in the file already (Barr et al., "The plastic surgery hypothesis", 2014).
    """
    unbound = {*program.local_names(node)}.difference(names_stored(node), program.variables(node))
    variables = _visible(program, node)
    block = getattr(program.parent(node), program.field(node))
    for model in program.ingredients(node):
        read = dict.fromkeys(names_read(model))
        if not unbound.isdisjoint(read):
            continue
        if model not in block or abs(block.index(model) - block.index(node)) > 1:
            yield copy.deepcopy(model), 0.8, 1.0
        for old in read if model in block else ():
            for new in variables:
                fit = program.kinds.compatibility(program.kinds.name(new), program.kinds.name(old))
                if old in variables and new != old and fit == 1.0:
                    yield _renamed(model, old, new), 0.08, signs.forgotten(program, new)


def _visible(program: Program, node: ast.stmt) -> list[str]:
    """The nearest names, so that a long function does not give a million statements."""
    return list(dict.fromkeys((*names_stored(node), *program.variables(node))))[:NEAREST]


def _is_first(program: Program, node: ast.stmt) -> bool:
    block = getattr(program.parent(node), program.field(node))
    return isinstance(block, list) and block[0] is node


def _made_here(program: Program, variable: str) -> bool:
    """Whether the program itself makes the container of that name; a caller's is less its own to change."""
    own = [function.name for function in program.functions]
    for node in program.assignments.get(variable, ()):
        match node.value:
            case ast.List() | ast.Dict() | ast.Set():
                return True
            case ast.Call(func=ast.Name(id=maker)) if maker not in own:
                return True
    return False


def _leaves(last: ast.stmt) -> bool:
    """Whether a block that ends so is never run off."""
    if isinstance(last, ast.If):
        return bool(last.orelse) and _leaves(last.body[-1]) and _leaves(last.orelse[-1])
    if isinstance(last, ast.While):
        return isinstance(last.test, ast.Constant) and not any(isinstance(n, ast.Break) for n in ast.walk(last))
    return isinstance(last, (ast.Return, ast.Raise))


def _renamed(node: ast.stmt, old: str, new: str) -> ast.stmt:
    out = copy.deepcopy(node)
    for inner in ast.walk(out):
        if isinstance(inner, ast.Name) and inner.id == old and isinstance(inner.ctx, ast.Load):
            inner.id = new
    return out
