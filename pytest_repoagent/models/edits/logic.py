"""Operators on truth: comparisons, connectives, and conditions that are missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_repoagent.models.edits.build import both, call, compare, const, listed, name, negated, replace
from pytest_repoagent.models.edits.kinds import CONTAINER, Kind
from pytest_repoagent.models.edits.program import FUNCTION, NEAREST, Program, names_read, parameters, same
from pytest_repoagent.models.edits.splice import Change

_COMPARISONS: dict[type[ast.cmpop], tuple[tuple[type[ast.cmpop], float], ...]] = {
    ast.Lt: ((ast.LtE, 2), (ast.Gt, 1), (ast.GtE, 0.6)),
    ast.LtE: ((ast.Lt, 2), (ast.GtE, 1), (ast.Gt, 0.6)),
    ast.Gt: ((ast.GtE, 2), (ast.Lt, 1), (ast.LtE, 0.6)),
    ast.GtE: ((ast.Gt, 2), (ast.LtE, 1), (ast.Lt, 0.6)),
    ast.Eq: ((ast.NotEq, 1), (ast.LtE, 0.15), (ast.GtE, 0.15)),
    ast.NotEq: ((ast.Eq, 1), (ast.Lt, 0.2), (ast.Gt, 0.3)),
    ast.Is: ((ast.IsNot, 1),),
    ast.IsNot: ((ast.Is, 1),),
    ast.In: ((ast.NotIn, 1),),
    ast.NotIn: ((ast.In, 1),),
}


def comparison(program: Program) -> Iterator[Change]:
    """Another comparison operator: its boundary, its direction, its negation."""
    for node in program.of(ast.Compare):
        for i, op in enumerate(node.ops):
            for other, weight in _COMPARISONS[type(op)]:
                ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                yield replace(node, ast.Compare(node.left, ops, node.comparators), "comparison", weight)


def threshold(program: Program) -> Iterator[Change]:
    """A test for one number, or for none or one element, that should hold for all up to the next."""
    for node in program.of(ast.Compare):
        match node:
            case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=int(number))]):
                weight = 0.6 if isinstance(program.parent(node), ast.If) else 0.2
                if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mod):
                    continue
                yield replace(node, compare(node.left, ast.LtE(), const(number + 1)), "comparison", weight)


def null_guard(program: Program) -> Iterator[Change]:
    """A condition that takes a field of something which may be ``None``."""
    for test in _tests(program):
        owners = {ast.dump(n.value): n.value for n in ast.walk(test) if isinstance(n, ast.Attribute)}
        for owner in owners.values():
            if program.kinds.of(owner) & ~(Kind.OBJECT | Kind.NONE):
                continue
            yield replace(test, both(ast.Or(), compare(owner, ast.Is(), const(None)), test), "condition", 2.0)
            yield replace(test, both(ast.And(), compare(owner, ast.IsNot(), const(None)), test), "condition", 2.0)


def bounds_guard(program: Program) -> Iterator[Change]:
    """A condition that takes an element at a position which may lie beyond the end."""
    for test in _tests(program):
        for taken in [n for n in ast.walk(test) if isinstance(n, ast.Subscript) and not isinstance(n.slice, ast.Slice)]:
            if isinstance(taken.slice, (ast.Name, ast.BinOp)) and not program.kinds.of(taken.value) & Kind.MAP:
                size = call("len", taken.value)
                yield replace(test, both(ast.Or(), compare(taken.slice, ast.Eq(), size), test), "condition", 1.0)
                yield replace(test, both(ast.And(), compare(taken.slice, ast.Lt(), size), test), "condition", 1.0)


def connective(program: Program) -> Iterator[Change]:
    """``and`` for ``or``, one operand less, ``not`` more or less."""
    for node in program.sites:
        if isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield replace(node, ast.BoolOp(other, node.values), "connective", 1.5)
            for i in range(len(node.values)):
                rest = [*node.values[:i], *node.values[i + 1 :]]
                shorter = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
                yield replace(node, shorter, "connective", 0.7)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield replace(node, node.operand, "connective", 1.0)
    for test in _tests(program):
        for part in test.values if isinstance(test, ast.BoolOp) else [test]:
            if not isinstance(part, (ast.Compare, ast.Constant)) and part is negated(negated(part)):
                yield replace(part, negated(part), "connective", 1.0)


def constant_test(program: Program) -> Iterator[Change]:
    """A real condition for ``while True`` or ``if True``."""
    for test in _tests(program):
        if isinstance(test, ast.Constant):
            taken = _consumed(program.parent(test))
            for atom, weight in _atoms(program, test):
                sign = 5.0 if isinstance(atom, ast.Name) and atom.id in taken else 1.0
                yield replace(test, atom, "connective", weight, sign)


def _consumed(loop: ast.AST) -> list[str]:
    """Names of containers that a loop takes elements from, which fails once they are empty."""
    calls = [n.func for n in ast.walk(loop) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return [f.value.id for f in calls if f.attr in ("pop", "popleft", "get") and isinstance(f.value, ast.Name)]


def missing_operand(program: Program) -> Iterator[Change]:
    """One more operand in a condition: what it forgot to ask."""
    for test in _tests(program):
        if isinstance(test, ast.Constant):
            continue
        weak = 0.4 if isinstance(program.parent(test), (ast.comprehension, ast.IfExp, ast.Return)) else 1.0
        known = [ast.dump(t) for t in ast.walk(test) if isinstance(t, ast.expr)]
        for atom, weight in _atoms(program, test):
            if ast.dump(atom) in known:
                continue
            for guard in (atom, negated(atom)):
                if isinstance(guard, ast.UnaryOp) and isinstance(atom, ast.Compare):
                    continue
                yield replace(test, both(ast.And(), guard, test), "condition", weight * weak)
                yield replace(test, both(ast.Or(), guard, test), "condition", weight * weak)


def truth_value(program: Program) -> Iterator[Change]:
    """A condition where the code answers a constant ``True`` or ``False``."""
    for node in program.of(ast.Return):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool):
            for atom, weight in _atoms(program, node.value):
                for answer in (atom, negated(atom)):
                    yield replace(node.value, answer, "condition", weight)


def base_case(program: Program) -> Iterator[Change]:
    """An early return at the start of a function, for an empty or zero argument."""
    for function in program.functions:
        body = [s for s in function.body if s in program.sites]
        if not body or not isinstance(function, FUNCTION):
            continue
        first = body[0]
        recursive = any(isinstance(n, ast.Call) and program.is_recursive(n) for n in ast.walk(function))
        unguarded = recursive and not any(isinstance(s, (ast.If, ast.While)) for s in body)
        answers = _answers(function)
        for parameter in parameters(function):
            kind = program.kinds.name(parameter)
            tests: list[tuple[ast.expr, float]] = []
            if not kind or kind & (CONTAINER | Kind.OBJECT):
                tests.append((negated(name(parameter)), 1.0))
            if kind & Kind.OBJECT:
                tests.append((compare(name(parameter), ast.Is(), const(None)), 1.0))
            if kind & Kind.NUMBER:
                tests.append((compare(name(parameter), ast.Eq(), const(0)), 1.0))
                tests.append((compare(name(parameter), ast.LtE(), const(0)), 0.6))
                tests.append((compare(name(parameter), ast.Eq(), const(1)), 0.4))
            for test, weight in tests:
                for answer in (*answers, name(parameter)):
                    guard = ast.If(test, [ast.Return(answer)], [])
                    strength = weight * (1.0 if recursive else 0.5)
                    yield Change(first, (guard, first), "condition", strength, 3.0 if unguarded else 1.0)


def guard(program: Program) -> Iterator[Change]:
    """An ``if`` around one simple statement of a loop."""
    for node in program.of(ast.Expr, ast.Assign, ast.AugAssign):
        if program.loop_around(node) is not None and isinstance(node, ast.stmt):
            for atom, weight in _atoms(program, node):
                for test in (atom, negated(atom)):
                    yield Change(node, (ast.If(test, [node], []),), "condition", 0.3 * weight)


def _tests(program: Program) -> Iterator[ast.expr]:
    """Conditions of statements, conditional expressions and comprehensions, and connectives that are returned."""
    for node in program.sites:
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                yield test
            case ast.comprehension(ifs=ifs):
                yield from ifs
            case ast.Return(value=ast.BoolOp() | ast.Compare() as test):
                yield test


def _atoms(program: Program, node: ast.AST) -> list[tuple[ast.expr, float]]:
    """Simple conditions over what ``node`` can see, with weights."""
    atoms: list[tuple[ast.expr, float]] = []
    kinds = program.kinds
    variables = program.variables(node)[:NEAREST]
    near = names_read(program.statement(node))
    for variable in variables:
        kind = kinds.name(variable)
        close = 1.0 if variable in near or program.is_unused(variable) else 0.6
        if not kind or kind & (CONTAINER | Kind.OBJECT | Kind.TRUTH):
            atoms.append((name(variable), close))
        if kind & Kind.NUMBER:
            atoms.append((compare(name(variable), ast.Eq(), const(0)), 0.4 * close))
            atoms.append((compare(name(variable), ast.Gt(), const(0)), 0.3 * close))
    for holder in variables:
        if kinds.name(holder) & (Kind.SET | Kind.MAP):
            for item in variables:
                if item != holder and not kinds.name(item) & (Kind.SET | Kind.MAP):
                    atoms.append((compare(name(item), ast.In(), name(holder)), 0.8))
                    atoms.append((compare(name(item), ast.NotIn(), name(holder)), 0.8))
    numbers = [v for v in variables if kinds.name(v) & Kind.NUMBER]
    for left in numbers:
        for right in numbers:
            if left != right:
                atoms.append((compare(name(left), ast.Lt(), name(right)), 0.3))
        for holder in variables:
            if kinds.name(holder) & (Kind.SEQUENCE | Kind.TEXT):
                atoms.append((compare(name(left), ast.Lt(), call("len", name(holder))), 0.3))
    for attribute in program.of(ast.Attribute):
        owner = attribute.value
        whole = isinstance(owner, ast.Name) and owner.id in variables and kinds.of(owner) & Kind.OBJECT
        here = whole and program.functions_around(attribute) == program.functions_around(node)
        if here and not isinstance(program.parent(attribute), ast.Call):
            atoms.append((ast.Attribute(owner, attribute.attr, ast.Load()), 0.7))
    return atoms


def _answers(function: ast.AST) -> list[ast.expr]:
    """What a base case may return: simple values returned elsewhere, then the usual empty ones."""
    found = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
    simple = [v for v in found if isinstance(v, (ast.Constant, ast.List, ast.Tuple)) and not names_read(v)]
    every = [*simple, listed(), const(0), const(None)]
    return [v for i, v in enumerate(every) if not any(same(v, other) for other in every[:i])]
