"""Operators on names: the wrong variable, two of them exchanged, the wrong method or field."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator
from itertools import combinations, permutations

from pytest_repoagent.models.edits import signs
from pytest_repoagent.models.edits.build import name, replace, stored
from pytest_repoagent.models.edits.kinds import CONTAINER, Kind
from pytest_repoagent.models.edits.program import Program, names_read, names_stored, parameters, same
from pytest_repoagent.models.edits.splice import Change

_RELATED = (
    ("append", "extend"),
    ("append", "appendleft"),
    ("add", "update"),
    ("add", "discard"),
    ("pop", "popleft"),
    ("keys", "values", "items"),
    ("find", "rfind", "index"),
    ("strip", "lstrip", "rstrip"),
    ("startswith", "endswith"),
    ("upper", "lower"),
    ("split", "rsplit"),
    ("isdigit", "isalpha", "isalnum"),
    ("union", "intersection", "difference"),
    ("heappush", "heappop", "heapify", "heappushpop", "heapreplace"),
    ("floor", "ceil"),
    ("min", "max"),
    ("any", "all"),
    ("sorted", "reversed"),
)
_PLAIN = ("append", "extend", "min", "max", "any", "all")


def variable(program: Program) -> Iterator[Change]:
    """Another variable of a compatible kind."""
    for node in program.of(ast.Name):
        kind = program.kinds.name(node.id)
        visible = program.variables(node)
        if isinstance(node.ctx, ast.Store):
            for other in visible:
                if other != node.id and program.parent(node) is program.statement(node):
                    weight = 0.4 * program.kinds.compatibility(program.kinds.name(other), kind)
                    yield replace(node, stored(other), "variable", weight)
        elif isinstance(node.ctx, ast.Load) and node.id in visible:
            for other in visible:
                if other != node.id:
                    fit = program.kinds.compatibility(program.kinds.name(other), kind)
                    yield replace(
                        node, name(other), "variable", fit * _surprise(program, node), signs.forgotten(program, other)
                    )


def simple_value(program: Program) -> Iterator[Change]:
    """A variable for a literal, a literal for a variable, or a variable for an expression that holds it."""
    for node in program.sites:
        parent = program.parent(node)
        if isinstance(node, ast.Constant) and type(node.value) is int and not isinstance(parent, ast.Assign):
            for other in program.variables(node):
                if program.kinds.name(other) & Kind.NUMBER:
                    yield replace(node, name(other), "variable", 0.4, signs.forgotten(program, other))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Name):
            yield replace(node, node.slice, "variable", 0.4)
        elif isinstance(node, ast.Call) and not isinstance(parent, ast.Expr):
            for other in program.variables(node):
                fit = program.kinds.compatibility(program.kinds.name(other), program.kinds.of(node))
                if other not in names_read(node):
                    yield replace(node, name(other), "variable", 0.3 * fit, signs.forgotten(program, other))


def _surprise(program: Program, node: ast.Name) -> float:
    """Doubt in one use of a name: it stands twice in one expression, as after copying and half editing."""
    outer = program.parent(node)
    if isinstance(outer, (ast.BinOp, ast.Compare, ast.Call, ast.Tuple)):
        return 1.5 if names_read(outer).count(node.id) > 1 else 1.0
    return 1.0


def copied_expression(program: Program) -> Iterator[Change]:
    """Another element, field or call of the same statement, or of the same function."""
    parts: dict[tuple[ast.AST, ...], list[ast.expr]] = {}
    for node in program.of(ast.Subscript, ast.Attribute, ast.Call):
        if _is_value(program, node):
            parts.setdefault(tuple(program.functions_around(node)), []).append(node)
    for node, other in (pair for group in parts.values() for pair in permutations(group, 2)):
        if node not in program.around(other) and other not in program.around(node):
            near = program.statement(other) is program.statement(node)
            new = _for_reading(other) if _is_read(node) else _for_storing(other)
            if new is not None:
                yield replace(node, new, "variable", 0.4 if near else 0.1)


def _is_value(program: Program, node: ast.AST) -> bool:
    return not isinstance(program.parent(node), ast.Expr) and not _is_called(program, node)


def _is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _for_reading(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Subscript(value=value, slice=index):
            return ast.Subscript(value, index, ast.Load())
        case ast.Attribute(value=value, attr=attr):
            return ast.Attribute(value, attr, ast.Load())
    return node if isinstance(node, ast.Call) else None


def _for_storing(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Subscript(value=value, slice=index):
            return ast.Subscript(value, index, ast.Store())
        case ast.Attribute(value=value, attr=attr):
            return ast.Attribute(value, attr, ast.Store())
    return None


def exchange(program: Program) -> Iterator[Change]:
    """Two arguments, operands or elements exchanged."""
    for node in program.sites:
        match node:
            case ast.Call(func=func, args=args, keywords=keywords):
                weight = 1.5 if program.is_recursive(node) else 0.7
                for i, j in combinations(range(len(args)), 2):
                    fit = program.kinds.compatibility(program.kinds.of(args[i]), program.kinds.of(args[j]))
                    fit *= 0.2 if isinstance(args[i], ast.Constant) and isinstance(args[j], ast.Constant) else 1.0
                    if not any(isinstance(args[k], ast.Starred) for k in (i, j)) and not _symmetric(func):
                        yield replace(node, ast.Call(func, _swapped(args, i, j), keywords), "swap", weight * fit)
            case ast.BinOp(left=left, op=op, right=right):
                fit = 0.2 if isinstance(left, ast.Constant) or isinstance(right, ast.Constant) else 1.0
                yield replace(node, ast.BinOp(right, op, left), "swap", fit)
            case ast.Tuple(elts=elts, ctx=ctx) if len(elts) < 5:
                bound = isinstance(ctx, ast.Store)
                assigned = isinstance(program.parent(node), ast.Assign)
                weight = 1.0 if not bound else 0.2 if assigned else 0.7
                weight *= 1.0 if names_read(node) or bound else 0.1
                for i, j in combinations(range(len(elts)), 2):
                    yield replace(node, ast.Tuple(_swapped(elts, i, j), ctx), "swap", weight)
            case ast.Subscript(value=ast.Subscript(value=base, slice=first), slice=second, ctx=ctx):
                inner = ast.Subscript(base, second, ast.Load())
                yield replace(node, ast.Subscript(inner, first, ctx), "swap", 0.7)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield replace(node, ast.IfExp(test, orelse, body), "swap", 0.7)


def exchange_names(program: Program) -> Iterator[Change]:
    """Two variables exchanged wherever one simple statement or condition reads them, or the sides of ``a = b``."""
    for node in program.sites:
        if not isinstance(node, (ast.stmt, ast.expr)):
            continue
        simple = isinstance(node, (ast.AugAssign, ast.Expr, ast.Return)) or _is_plain(node)
        tested = isinstance(node, ast.expr) and isinstance(program.parent(node), (ast.If, ast.While))
        if not simple and not tested:
            continue
        used = dict.fromkeys(n for n in names_read(node) if n in program.variables(node))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            used.update(dict.fromkeys(names_stored(node)))
        for a, b in combinations(used, 2):
            fit = program.kinds.compatibility(program.kinds.name(a), program.kinds.name(b))
            yield replace(node, _exchanged(node, a, b), "swap", 0.4 * fit)


def _is_plain(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and len(node.targets) == 1


def turned_assignment(program: Program) -> Iterator[Change]:
    """``b.g = a.f`` for ``a.f = b.g``."""
    for node in program.of(ast.Assign):
        target = node.targets[0]
        if len(node.targets) == 1 and isinstance(target, ast.Attribute) and isinstance(node.value, ast.Attribute):
            turned = ast.Attribute(node.value.value, node.value.attr, ast.Store())
            yield replace(node, ast.Assign([turned], ast.Attribute(target.value, target.attr, ast.Load())), "swap", 0.5)


def related_call(program: Program) -> Iterator[Change]:
    """A related method or function, or one that the file calls elsewhere."""
    seen = dict.fromkeys(
        n.func.attr for n in program.sites if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    )
    for node in program.of(ast.Call):
        if isinstance(node.func, ast.Attribute):
            for other, weight in _alternatives(node.func.attr, seen, program.source):
                new = ast.Attribute(node.func.value, other, ast.Load())
                yield replace(node.func, new, "method", weight)
        elif isinstance(node.func, ast.Name):
            own = {f.name: len(parameters(f)) for f in program.functions}
            for other, weight in _alternatives(node.func.id, (), program.source):
                yield replace(node.func, name(other), "method", weight)
            for other, arity in own.items():
                if node.func.id in own and other != node.func.id and arity == len(node.args):
                    yield replace(node.func, name(other), "method", 0.5)


def _alternatives(method: str, seen: Iterable[str], source: str) -> Iterator[tuple[str, float]]:
    related = dict.fromkeys(m for group in _RELATED if method in group for m in group if m != method)
    for other in related:
        known = other in seen or method in _PLAIN or ("left" in other and "deque" in source)
        yield other, 1.0 if known else 0.4
    for other in seen:
        if other != method and other not in related:
            yield other, 0.3


def field(program: Program) -> Iterator[Change]:
    """Another field, no field, or a field of a value that is taken whole."""
    uses = [n for n in program.sites if isinstance(n, ast.Attribute) and not _is_called(program, n)]
    fields = dict.fromkeys(n.attr for n in uses)
    for node in uses:
        for other in fields:
            if other != node.attr:
                yield replace(node, ast.Attribute(node.value, other, node.ctx), "field", 1.0)
        if isinstance(node.ctx, ast.Load):
            yield replace(node, node.value, "field", 1.0)
            yield replace(node, ast.Attribute(node, node.attr, ast.Load()), "field", 0.3)
    for value in program.of(ast.Name):
        kind = program.kinds.name(value.id)
        if not isinstance(value.ctx, ast.Load) or isinstance(program.parent(value), ast.Attribute):
            continue
        if kind & (CONTAINER | Kind.NUMBER | Kind.FUNCTION) or value.id not in program.variables(value):
            continue
        for other in fields:
            yield replace(value, ast.Attribute(value, other, ast.Load()), "field", 0.7 if kind else 0.4)


def _is_called(program: Program, node: ast.AST) -> bool:
    parent = program.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _symmetric(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in ("min", "max")


def _swapped(items: list[ast.expr], i: int, j: int) -> list[ast.expr]:
    out = list(items)
    out[i], out[j] = out[j], out[i]
    return out


def _exchanged(node: ast.stmt | ast.expr, a: str, b: str) -> ast.stmt | ast.expr:
    out = copy.deepcopy(node)
    for inner in ast.walk(out):
        if isinstance(inner, ast.Name) and inner.id in (a, b):
            inner.id = b if inner.id == a else a
    return node if same(out, node) else out
