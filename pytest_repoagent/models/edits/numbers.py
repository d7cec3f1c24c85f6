"""Operators on numbers and positions: one too many or too few, slices, arithmetic."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_repoagent.models.edits import signs
from pytest_repoagent.models.edits.build import call, const, name, replace
from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import Program, names_read, same
from pytest_repoagent.models.edits.splice import Change

_FAMILIES: tuple[tuple[type[ast.operator], ...], ...] = (
    (ast.Add, ast.Sub),
    (ast.Mult, ast.FloorDiv, ast.Div, ast.Mod, ast.Pow),
    (ast.BitAnd, ast.BitOr, ast.BitXor),
    (ast.LShift, ast.RShift),
)
_ACROSS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Mult, ast.BitOr),
    ast.Sub: (ast.FloorDiv, ast.BitAnd),
    ast.Mult: (ast.Add,),
    ast.FloorDiv: (ast.Sub,),
    ast.Mod: (ast.Sub,),
    ast.BitOr: (ast.Add,),
    ast.BitAnd: (ast.Sub,),
    ast.BitXor: (ast.Add, ast.Sub),
    ast.Pow: (ast.Mult,),
}


def other_operators(op: ast.operator) -> list[tuple[ast.operator, float]]:
    """Operators that ``op`` may have been meant to be, with weights: those of its family first."""
    family = next((f for f in _FAMILIES if type(op) in f), ())
    near = [(other(), 1.0) for other in family if other is not type(op)]
    return near + [(other(), 0.4) for other in _ACROSS.get(type(op), ())]


def operator(program: Program) -> Iterator[Change]:
    """Another arithmetic operator."""
    for node in program.of(ast.BinOp):
        if program.kinds.of(node) & (Kind.TEXT | Kind.SEQUENCE):
            continue
        for op, weight in other_operators(node.op):
            yield replace(node, ast.BinOp(node.left, op, node.right), "operator", weight)


def off_by_one(program: Program) -> Iterator[Change]:
    """One more or one less: of a position, bound, argument, result or literal."""
    for node in program.sites:
        if not isinstance(node, ast.expr) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            continue
        role = _role(program, node)
        if not role:
            continue
        for new, weight in _neighbours(program, node):
            yield replace(node, new, "off_by_one", role * weight)


def _role(program: Program, node: ast.expr) -> float:
    """How often a number in this place is wrong by one; 0 where it is no number or a part of another site."""
    parent = program.parent(node)
    if _literal(node) is not None:
        if isinstance(parent, (ast.Set, ast.List, ast.Tuple, ast.Dict, ast.arguments)):
            return 0.1
        return 0.0 if isinstance(parent, (ast.BinOp, ast.UnaryOp)) else 0.8
    if not program.kinds.of(node) & Kind.NUMBER and not isinstance(node, (ast.Name, ast.Subscript)):
        return 0.0
    if program.kinds.of(node) and not program.kinds.of(node) & Kind.NUMBER:
        return 0.0
    known = 1.0 if program.kinds.of(node) & Kind.NUMBER else 0.3
    match parent:
        case ast.Slice():
            return 1.5 * known
        case ast.Subscript(slice=index) if index is node:
            return known if isinstance(node, (ast.Name, ast.BinOp)) else 0.5 * known
        case ast.Tuple() if isinstance(program.parent(parent), ast.Subscript):
            return known
        case ast.Call(func=ast.Name(id="range")):
            return 2.0
        case ast.Call() if parent.func is not node:
            return (1.5 if program.is_recursive(parent) else 0.4) * known
        case ast.Return():
            return known
        case ast.Compare():
            return 0.3 * known
        case ast.Assign() | ast.AugAssign():
            return 0.5 * known
        case ast.BinOp(op=ast.Mult() | ast.FloorDiv() | ast.Div() | ast.Mod() | ast.Pow()):
            return 0.4 * known
        case ast.BinOp() if not isinstance(node, ast.BinOp):
            return 0.2 * known
    return 0.0


def _neighbours(program: Program, node: ast.expr) -> list[tuple[ast.expr, float]]:
    one = ast.Constant(1)
    value = _literal(node)
    if value is not None:
        return [(const(value + 1), 1.0), (const(value - 1), 1.0 if value > 0 else 0.6)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and same(node.right, one):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return [
            (node.left, 1.0),
            (ast.BinOp(node.left, other, one), 0.5),
            (ast.BinOp(node.left, node.op, const(2)), 0.6),
        ]
    return [(ast.BinOp(node, ast.Add(), one), 1.0), (ast.BinOp(node, ast.Sub(), one), 1.0)]


def _literal(node: ast.AST) -> int | None:
    """The value of a whole number written as such."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand)
        return None if value is None else -value
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def slices(program: Program) -> Iterator[Change]:
    """Other slice bounds, a slice too many, or one too few."""
    for node in program.of(ast.Subscript):
        if not isinstance(node.ctx, ast.Load) or not isinstance(node.slice, ast.Slice):
            continue
        yield replace(node, node.value, "slice", 0.5)
        bounds = node.slice
        for lower, upper, weight in (
            (None, bounds.upper, 1.0 if bounds.lower and bounds.upper else 0.0),
            (bounds.lower, None, 1.0 if bounds.lower and bounds.upper else 0.0),
            (bounds.upper, bounds.lower, 1.0),
        ):
            if weight:
                cut = ast.Slice(lower, upper, bounds.step)
                yield replace(node, ast.Subscript(node.value, cut, ast.Load()), "slice", weight)
    for whole in program.sites:
        if not isinstance(whole, (ast.Name, ast.Attribute)) or _is_bound(whole):
            continue
        kind = program.kinds.of(whole)
        weight = _sliceable(program, whole)
        if weight and kind & (Kind.SEQUENCE | Kind.TEXT):
            for cut, share in _cuts(program, whole):
                yield replace(whole, ast.Subscript(whole, cut, ast.Load()), "slice", weight * share)


def _is_bound(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _sliceable(program: Program, node: ast.expr) -> float:
    match program.parent(node):
        case ast.For() | ast.comprehension():
            return 1.0
        case ast.Call() as around if around.func is not node:
            return 1.0 if program.is_recursive(around) else 0.0 if _is_builtin(around) else 0.3
        case ast.Return() | ast.BinOp():
            return 0.5
        case ast.Assign():
            return 0.3
    return 0.0


def _is_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ("len", "range", "enumerate", "isinstance", "print")


def _cuts(program: Program, node: ast.AST) -> Iterator[tuple[ast.Slice, float]]:
    yield ast.Slice(const(1), None), 1.0
    yield ast.Slice(None, const(-1)), 1.0
    yield ast.Slice(None, None, const(-1)), 0.5
    for variable in program.variables(node):
        if program.kinds.name(variable) & Kind.NUMBER:
            sign = 2.0 if program.is_unused(variable) else 1.0
            yield ast.Slice(name(variable), None), sign
            yield ast.Slice(None, name(variable)), sign


def missing_arithmetic(program: Program) -> Iterator[Change]:
    """A number that should have been added to, taken from or multiplied with another one, or left as it was."""
    for node in program.sites:
        if not isinstance(node, ast.expr) or _is_bound(node) or isinstance(node, ast.Constant):
            continue
        joins = program.kinds.of(node) & (Kind.TEXT | Kind.SEQUENCE)
        if isinstance(node, ast.BinOp) and not joins and not isinstance(node.right, ast.Constant):
            yield replace(node, node.right, "arithmetic", 0.3)
            yield replace(node, node.left, "arithmetic", 0.5)
        role = _role(program, node) * (0.4 if isinstance(node, ast.BinOp) else 1.0)
        if role < 0.1 or not program.kinds.of(node) & Kind.NUMBER:
            continue
        for other, sign in _operands(program, node):
            yield replace(node, ast.BinOp(node, ast.Add(), other), "arithmetic", role, sign)
            yield replace(node, ast.BinOp(node, ast.Sub(), other), "arithmetic", role, sign)
            yield replace(node, ast.BinOp(other, ast.Sub(), node), "arithmetic", 0.5 * role, sign)
            yield replace(node, ast.BinOp(node, ast.Mult(), other), "arithmetic", 0.5 * role, sign)
        yield replace(node, ast.BinOp(node, ast.Pow(), const(2)), "arithmetic", 0.5 * role)
        yield replace(node, ast.UnaryOp(ast.USub(), node), "arithmetic", 0.5 * role)


def _operands(program: Program, node: ast.AST) -> Iterator[tuple[ast.expr, float]]:
    here = names_read(node)
    for variable in program.variables(node):
        if variable in here:
            continue
        kind = program.kinds.name(variable)
        if kind & Kind.NUMBER or program.is_unused(variable):
            yield name(variable), signs.forgotten(program, variable)
        elif kind & (Kind.SEQUENCE | Kind.TEXT):
            yield call("len", name(variable)), 1.0
