"""Operators on values: calls that are missing or too many, elements joined to a list, literals of containers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_repoagent.models.edits import signs
from pytest_repoagent.models.edits.build import call, const, listed, name, replace
from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import LOOP, Program, names_read, names_stored, parameters
from pytest_repoagent.models.edits.splice import Change

_WRAPPERS: tuple[tuple[str, Kind, float], ...] = (
    ("len", Kind.SEQUENCE | Kind.TEXT | Kind.SET | Kind.MAP, 0.5),
    ("list", Kind.SEQUENCE | Kind.SET | Kind.MAP, 0.5),
    ("sorted", Kind.SEQUENCE | Kind.SET, 0.4),
    ("reversed", Kind.SEQUENCE, 0.4),
    ("set", Kind.SEQUENCE | Kind.TEXT, 0.5),
    ("sum", Kind.SEQUENCE, 0.4),
    ("max", Kind.SEQUENCE, 0.4),
    ("min", Kind.SEQUENCE, 0.4),
    ("abs", Kind.NUMBER, 0.6),
    ("int", Kind.NUMBER | Kind.TEXT, 0.3),
    ("str", Kind.NUMBER, 0.3),
)


_ITERATORS = ("enumerate", "range", "zip", "print")


def missing_call(program: Program) -> Iterator[Change]:
    """A value that should have gone through a function first: a builtin, or one that the file calls or defines."""
    called = _called_with_one(program)
    for node in program.sites:
        place = _place(program, node)
        if not place or not isinstance(node, ast.expr):
            continue
        kind = program.kinds.of(node)
        for function, weight in called.items():
            yield replace(node, call(function, node), "call", place * weight)
        for variable in program.variables(node):
            if program.is_unused(variable) or program.kinds.name(variable) & Kind.FUNCTION:
                sign = signs.forgotten(program, variable)
                yield replace(node, call(variable, node), "call", 0.5 * place, sign)
        for function, accepted, weight in _WRAPPERS:
            if function not in called and (not kind or kind & accepted):
                asked = _asked(program, node) & program.kinds.of(call(function, node))
                share = 3.0 if asked and kind & ~asked else 1.0 if kind else 0.5
                yield replace(node, call(function, node), "call", place * weight * share)
        yield from _limited(program, node, place)


def limit(program: Program) -> Iterator[Change]:
    """A position that should not go below zero or beyond the end."""
    for node in program.of(ast.BinOp):
        parent = program.parent(node)
        if isinstance(parent, ast.Slice) or (isinstance(parent, ast.Subscript) and parent.slice is node):
            yield from _limited(program, node, 0.8)


def _limited(program: Program, node: ast.expr, place: float) -> Iterator[Change]:
    """``max`` and ``min`` with another number."""
    parent = program.parent(node)
    kept = names_stored(parent) if _is_update(program, parent) else []
    kind = program.kinds.of(node)
    if not kind & Kind.NUMBER and (kind or not kept):
        return
    numbers = [v for v in program.variables(node) if program.kinds.name(v) & Kind.NUMBER]
    for variable in dict.fromkeys((*kept, *numbers)):
        if variable not in names_read(node):
            for function in ("max", "min"):
                weight = 1.0 if variable in kept else 0.3
                yield replace(node, call(function, name(variable), node), "call", weight * place)
    for function in ("max", "min"):
        yield replace(node, call(function, const(0), node), "call", 0.4 * place)


def _is_update(program: Program, node: ast.AST) -> bool:
    """Whether a name gets a new value in a loop, as a running maximum does."""
    return isinstance(node, ast.Assign) and len(node.targets) == 1 and program.loop_around(node) is not None


def _asked(program: Program, node: ast.AST) -> Kind:
    """The kind of the name that a value is assigned to."""
    parent = program.parent(node)
    return program.kinds.of(parent.targets[0]) if isinstance(parent, ast.Assign) else Kind.UNKNOWN


def _called_with_one(program: Program) -> dict[str, float]:
    """Functions that take one argument: the file's own, and those it calls so."""
    found = {f.name: 0.4 for f in program.functions if len(parameters(f)) == 1}
    for node in program.of(ast.Call):
        if isinstance(node.func, ast.Name) and len(node.args) == 1 and node.func.id not in _ITERATORS:
            found[node.func.id] = 0.8
    return found


def _place(program: Program, node: ast.AST) -> float:
    """How often a value in this place lacks a call; 0 where it is no such place."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.Call)):
        return 0.0
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return 0.0
    parent = program.parent(node)
    match parent:
        case ast.For(iter=over) | ast.comprehension(iter=over) if over is node:
            return 0.8 if isinstance(node, ast.Name) else 0.5
        case ast.Return() | ast.Yield() | ast.YieldFrom():
            return 1.0
        case ast.Call() if parent.func is not node:
            return 0.6
        case ast.Assign() | ast.AugAssign():
            return 0.7
        case ast.Compare():
            return 0.5
        case ast.BinOp() | ast.List() | ast.Tuple():
            return 0.4
    return 0.0


def superfluous_call(program: Program) -> Iterator[Change]:
    """A call that gives back its only argument's place, or one of two."""
    for node in program.of(ast.Call):
        if isinstance(node.func, ast.Name) and 1 <= len(node.args) <= 2 and not node.keywords:
            for argument in node.args:
                if not isinstance(argument, ast.Starred):
                    yield replace(node, argument, "call", 0.4)


def other_iterable(program: Program) -> Iterator[Change]:
    """A loop over positions, pairs or items where it went over the container, and the other way round."""
    for node in program.sites:
        if not isinstance(node, (*LOOP, ast.comprehension)) or isinstance(node, ast.While):
            continue
        over = node.iter
        kind = program.kinds.of(over)
        if isinstance(over, (ast.Name, ast.Attribute)):
            if kind & Kind.NUMBER or not kind:
                yield replace(over, call("range", over), "call", 0.8)
            if not kind & Kind.NUMBER:
                yield replace(over, call("range", call("len", over)), "call", 0.5)
            if isinstance(node.target, ast.Tuple):
                yield replace(over, call("enumerate", over), "call", 0.8)
            if kind & Kind.MAP:
                items = ast.Attribute(over, "items", ast.Load())
                yield replace(over, call(items), "call", 0.8)


def joined(program: Program) -> Iterator[Change]:
    """A list that lacks an element, or another list, at its start or end."""
    for node in program.sites:
        place = _join_place(program, node)
        if not place or not isinstance(node, ast.expr):
            continue
        for variable in program.variables(node):
            kind = program.kinds.name(variable)
            here = 0.6 if variable in names_read(node) else 1.0
            sign = 3.0 if program.is_unused(variable) else 1.0
            if not kind or not kind & (Kind.SEQUENCE | Kind.FUNCTION):
                for left, right in ((listed(name(variable)), node), (node, listed(name(variable)))):
                    yield replace(node, ast.BinOp(left, ast.Add(), right), "join", place * here, sign)
            if not kind or kind & Kind.SEQUENCE:
                share = 0.6 * place * here if kind else 0.2 * place * here
                for left, right in ((name(variable), node), (node, name(variable))):
                    yield replace(node, ast.BinOp(left, ast.Add(), right), "join", share, sign)


def unjoined(program: Program) -> Iterator[Change]:
    """A list that got an element or list too many."""
    for node in program.of(ast.BinOp):
        if isinstance(node.op, ast.Add) and program.kinds.of(node) & Kind.SEQUENCE:
            yield replace(node, node.left, "join", 0.4)
            yield replace(node, node.right, "join", 0.4)


def _join_place(program: Program, node: ast.AST) -> float:
    if not isinstance(node, (ast.Name, ast.List, ast.ListComp, ast.Call, ast.Subscript, ast.BinOp)):
        return 0.0
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or isinstance(program.parent(node), ast.BinOp):
        return 0.0
    kind = program.kinds.of(node)
    if (kind and not kind & Kind.SEQUENCE) or (isinstance(node, ast.List) and not node.elts):
        return 0.0
    known = 1.0 if kind else 0.4
    match program.parent(node):
        case ast.Return() | ast.Yield():
            return known
        case ast.Assign():
            return 0.7 * known
        case _ if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not program.is_recursive(node):
            return 0.2 * known
        case ast.Call() as around if around.func is not node:
            return (0.8 if program.is_recursive(around) or isinstance(around.func, ast.Attribute) else 0.4) * known
        case ast.ListComp():
            return 0.8 * known
    return 0.0


def literal(program: Program) -> Iterator[Change]:
    """Another literal: an empty container that should hold one, another first value, the other truth value."""
    for node in program.sites:
        if not isinstance(node, ast.expr):
            continue
        for new, weight in _literals(program, node):
            yield replace(node, new, "literal", weight)


def _literals(program: Program, node: ast.expr) -> Iterator[tuple[ast.expr, float]]:
    match node:
        case ast.List(elts=[], ctx=ast.Load()):
            yield listed(listed()), 1.0
            yield listed(const("")), 0.3
            yield listed(const(0)), 0.2
            yield ast.Dict([], []), 0.3
            yield call("set"), 0.3
            for variable in program.variables(node):
                yield listed(name(variable)), 0.6 if isinstance(program.parent(node), ast.Return) else 0.3
        case ast.List(elts=[only], ctx=ast.Load()):
            yield listed(node), 0.5
            yield listed(), 0.5
            yield only, 0.5
            yield listed(only, only), 0.2
        case ast.List(elts=elts, ctx=ast.Load()) if len(elts) < 5:
            yield listed(*elts[1:]), 0.4
            yield listed(*elts[:-1]), 0.4
        case ast.Dict(keys=[]):
            yield call("set"), 0.5
            yield listed(), 0.5
        case ast.Call(func=ast.Name(id="set" | "list" | "dict" as function), args=[]):
            yield from ((call(other), 0.5) for other in ("set", "list", "dict") if other != function)
            if function == "set":
                yield from ((ast.Set([name(v)]), 0.3) for v in program.variables(node))
        case ast.Constant(value=bool(truth)):
            yield const(not truth), 1.0
        case ast.Constant(value=None):
            yield const(0), 0.5
            yield listed(), 0.5
        case ast.Constant(value=str(text)) if len(text) < 2:
            yield const(" " if not text else ""), 0.5
        case ast.Constant(value=int(number)) if number in (0, 1):
            yield const(1 - number), 0.7
            yield const(-1), 0.3
            yield const(None), 0.2
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value="inf")]):
            yield const(0), 0.7
            yield ast.UnaryOp(ast.USub(), node), 0.7
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand, 0.7
