"""Signs of trouble that can be seen without running anything, as factors on the chance of an edit."""

from __future__ import annotations

import ast

from pytest_repoagent.models.edits.program import LOOP, Program, names_read, names_stored, parameters, same
from pytest_repoagent.models.edits.splice import Change

_UNUSED, _TWICE, _NO_PROGRESS, _FAMILIAR, _CHECK = 6.0, 4.0, 6.0, 2.0, 0.3


def forgotten(program: Program, variable: str) -> float:
    """A parameter or variable that is never read: an edit that reads it is likelier."""
    return _UNUSED if program.is_unused(variable) else 1.0


def idle(program: Program, variable: str, loop: ast.AST | None) -> float:
    """A local variable that a loop reads and never changes: tested by ``while``, or a literal set before the loop."""
    if not isinstance(loop, LOOP) or any(variable in names_stored(s) for s in (loop, *loop.body)):
        return 1.0
    before = program.assignments.get(variable, [])
    tested = isinstance(loop, ast.While) and variable in names_read(loop.test)
    literal = any(isinstance(s.value, ast.Constant) for s in before) and variable in names_read(loop)
    return _NO_PROGRESS if before and (tested or literal) else 1.0


def skipped(program: Program, variable: str, node: ast.stmt) -> float:
    """A variable that a ``while`` tests, before a ``continue`` whose block has not changed it."""
    loop = program.loop_around(node)
    if not isinstance(node, ast.Continue) or not isinstance(loop, ast.While):
        return 1.0
    block = getattr(program.parent(node), program.field(node))
    changed = any(variable in names_stored(s) for s in block)
    return _NO_PROGRESS if variable in names_read(loop.test) and not changed else 1.0


def place(program: Program, node: ast.AST) -> float:
    """Trouble around ``node``: equal operands or branches, or a call of the function itself with its own arguments.

    A check that only raises is less often wrong than what comes after it.
    """
    factor = 1.0
    for outer in program.around(node):
        if isinstance(outer, ast.If) and all(isinstance(s, ast.Raise) for s in outer.body):
            return factor * _CHECK
        if isinstance(outer, ast.stmt) and outer is not node:
            break
        parent = program.parent(outer)
        if _has_twin(parent, outer):
            factor = max(factor, _TWICE)
        if isinstance(parent, ast.Call) and outer in parent.args and _repeats_itself(program, parent):
            factor = max(factor, _NO_PROGRESS)
    return factor


def _has_twin(parent: ast.AST, node: ast.AST) -> bool:
    match parent:
        case ast.BinOp(left=left, right=right):
            siblings = [left, right]
        case ast.Compare(left=left, comparators=rest):
            siblings = [left, *rest]
        case ast.BoolOp(values=siblings):
            pass
        case ast.Call(args=siblings) | ast.Tuple(elts=siblings):
            pass
        case ast.IfExp(body=body, orelse=orelse):
            siblings = [body, orelse]
        case _:
            return False
    compound = not isinstance(node, ast.Constant) and not (
        isinstance(node, ast.Name) and isinstance(parent, (ast.Call, ast.Tuple, ast.BinOp))
    )
    return compound and any(s is not node and same(s, node) for s in siblings) and node in siblings


def _repeats_itself(program: Program, call: ast.Call) -> bool:
    if not program.is_recursive(call):
        return False
    function = next(
        f for f in program.functions_around(call) if isinstance(call.func, ast.Name) and f.name == call.func.id
    )
    own = parameters(function)
    looped = [n for outer in program.around(call) if isinstance(outer, LOOP) for n in names_stored(outer)]
    return len(call.args) == len(own) and all(
        isinstance(a, ast.Name) and a.id == p and a.id not in looped for a, p in zip(call.args, own, strict=True)
    )


def familiarity(program: Program, change: Change) -> float:
    """Whether the new expression, or what it makes of the one around it, stands elsewhere in the program.

    Code repeats itself, and what is like the rest is more often right (Ray et al., "On the 'naturalness' of buggy
    code", ICSE 2016).
    """
    target, new = change.target, change.new[0] if change.new else None
    if not isinstance(target, ast.expr) or not isinstance(new, ast.expr):
        return 1.0
    if ast.dump(new) in program.expressions:
        return _FAMILIAR
    parent = program.parent(target)
    if isinstance(parent, ast.expr):
        value = getattr(parent, program.field(target))
        fresh = [new if v is target else v for v in value] if isinstance(value, list) else new
        fields = {**dict(ast.iter_fields(parent)), program.field(target): fresh}
        if ast.dump(type(parent)(**fields)) in program.expressions:
            return _FAMILIAR
    return 1.0
