"""Mutations of values: numbers, positions and arithmetic, and other constants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_repoagent.models.edits.kinds import Kind
from pytest_repoagent.models.edits.program import same
from pytest_repoagent.mutation.operators.original import Original, Splice

_SPELLING: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_OTHERS: dict[str, tuple[str, ...]] = {
    "+": ("-", "*"),
    "-": ("+",),
    "*": ("+", "//", "**"),
    "/": ("*", "//"),
    "//": ("*", "%", "-"),
    "%": ("//", "-"),
    "**": ("*",),
    "&": ("|", "^"),
    "|": ("&", "^"),
    "^": ("&", "|"),
    "<<": (">>",),
    ">>": ("<<",),
}
_SIZED = ast.List, ast.Tuple, ast.Set, ast.Dict
_JOINED = Kind.SEQUENCE | Kind.TEXT


def assignment_operator(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another augmented assignment, a plain one instead, or an augmented one for a plain one in a loop."""
    for node in original.program.of(ast.AugAssign):
        old = _SPELLING[type(node.op)]
        joins = original.program.kinds.of(node.target) & _JOINED
        for new in () if joins else _OTHERS[old]:
            if splice := original.between(node.target, node.value, f"{old}=", f"{new}="):
                yield (splice,)
        if splice := original.between(node.target, node.value, f"{old}=", "="):
            yield (splice,)
    for plain in original.program.of(ast.Assign):
        numeric = original.program.kinds.of(plain.value) & Kind.NUMBER
        if len(plain.targets) != 1 or not numeric or not original.program.loop_around(plain):
            continue
        if splice := original.between(plain.targets[0], plain.value, "=", "+="):
            yield (splice,)


def arithmetic_operator(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another arithmetic operator between numbers."""
    for node in original.program.of(ast.BinOp):
        if not original.program.kinds.of(node) & _JOINED:
            old = _SPELLING[type(node.op)]
            for new in _OTHERS[old]:
                if splice := original.between(node.left, node.right, old, new):
                    yield (splice,)


def missing_arithmetic(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Only one operand of an arithmetic expression; without a ``1`` it would be off by one."""
    for node in original.program.of(ast.BinOp):
        if not original.program.kinds.of(node) & _JOINED and not _adds_one(node):
            for part in (node.left, node.right):
                if splice := original.keep(node, part):
                    yield (splice,)


def off_by_one(original: Original) -> Iterator[tuple[Splice, ...]]:
    """One more or one less: of a position, bound, argument, result or literal."""
    for node in original.program.sites:
        if isinstance(node, ast.BinOp) and _adds_one(node):
            if splice := original.keep(node, node.left):
                yield (splice,)
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            if not _is_element(original, node):
                yield from _neighbours(original, node, node.value)
        elif isinstance(node, ast.expr) and _is_position(original, node):
            yield (original.plus(node, " + 1"),)
            yield (original.plus(node, " - 1"),)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            yield from _other_bounds(original, node, node.slice)


def slices(original: Original) -> Iterator[tuple[Splice, ...]]:
    """A slice without a bound, with its one bound on the other side, or no slice at all."""
    for node in original.program.of(ast.Subscript):
        if not isinstance(node.slice, ast.Slice) or not isinstance(node.ctx, ast.Load):
            continue
        yield ((original.outer(node.value)[1], original.span(node)[1], b""),)
        match node.slice:
            case ast.Slice(lower=ast.expr() as lower, upper=ast.expr() as upper, step=None):
                yield _sliced(original, node, None, original.text(upper))
                yield _sliced(original, node, original.text(lower), None)
            case ast.Slice(lower=ast.expr() as bound, upper=None, step=None):
                yield _sliced(original, node, None, original.text(bound))
            case ast.Slice(lower=None, upper=ast.expr() as bound, step=None):
                yield _sliced(original, node, original.text(bound), None)


def element(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another number in a list, tuple, set or dictionary that is written out."""
    for node in original.program.of(ast.Constant):
        if type(node.value) is int and _is_element(original, node):
            yield from _neighbours(original, node, node.value)


def constant(original: Original) -> Iterator[tuple[Splice, ...]]:
    """Another constant: a container that is empty or holds one thing, the other truth value, a shorter text."""
    for node in original.program.sites:
        if isinstance(node, ast.expr) and not _is_infinity(original.program.parent(node)):
            for new in _constants(original, node):
                yield ((*original.span(node), new),)


def _neighbours(original: Original, node: ast.Constant, value: int) -> Iterator[tuple[Splice, ...]]:
    for new in (value + 1, value - 1):
        if new >= 0:
            yield ((*original.span(node), str(new).encode()),)


def _is_element(original: Original, node: ast.AST) -> bool:
    return isinstance(original.program.parent(node), _SIZED)


def _adds_one(node: ast.BinOp) -> bool:
    return isinstance(node.op, (ast.Add, ast.Sub)) and same(node.right, ast.Constant(1))


def _may_be_off(original: Original, node: ast.expr | None) -> bool:
    """Whether an expression is a number that no literal gives, to which one can be added without brackets."""
    if isinstance(node, ast.Constant) or (isinstance(node, ast.BinOp) and _adds_one(node)):
        return False
    number = bool(original.program.kinds.of(node) & Kind.NUMBER)
    return number and (isinstance(node, ast.BinOp) or original.is_atom(node))


def _is_position(original: Original, node: ast.expr) -> bool:
    """Whether a number here may well be off by one."""
    program = original.program
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or not _may_be_off(original, node):
        return False
    match program.parent(node):
        case ast.Return() | ast.Compare():
            return True
        case ast.Subscript(slice=index):
            return index is node
        case ast.Call(func=ast.Name(id="range")):
            return True
        case ast.Call() as around:
            return program.is_recursive(around)
    return False


def _other_bounds(original: Original, node: ast.Subscript, bounds: ast.Slice) -> Iterator[tuple[Splice, ...]]:
    """A slice with one more or one less for a bound that is no literal."""
    lower, upper = (original.text(b) if b else None for b in (bounds.lower, bounds.upper))
    for sign in (b" + 1", b" - 1") if bounds.step is None else ():
        if lower and _may_be_off(original, bounds.lower):
            yield _sliced(original, node, lower + sign, upper)
        if upper and _may_be_off(original, bounds.upper):
            yield _sliced(original, node, lower, upper + sign)


def _sliced(original: Original, node: ast.Subscript, lower: bytes | None, upper: bytes | None) -> tuple[Splice, ...]:
    """Other bounds, spaced as formatters do: ``[a:b]``, but ``[a + 1 : b]``."""
    simple = all(re.fullmatch(rb"\w*", bound or b"") for bound in (lower, upper))
    before, after = (b"" if simple or not bound else b" " for bound in (lower, upper))
    text = b"[" + (lower or b"") + before + b":" + after + (upper or b"") + b"]"
    return ((original.outer(node.value)[1], original.span(node)[1], text),)


def _constants(original: Original, node: ast.expr) -> Iterator[bytes]:
    text = original.data[slice(*original.span(node))]
    match node:
        case ast.List(elts=[], ctx=ast.Load()):
            yield b"[[]]"
        case ast.List(elts=[only], ctx=ast.Load()):
            yield b"[]"
            if not isinstance(only, ast.Starred):
                yield b"[" + text + b"]"
        case ast.Constant(value=bool(truth)):
            yield b"False" if truth else b"True"
        case ast.Constant(value=str(value)) if text[:1] in (b'"', b"'") and text[:3] not in (b'"""', b"'''"):
            if not value or value == " ":
                yield text[:1] + (b"" if value else b" ") + text[:1]
            elif len(value) > 1 and b"\\" not in text:
                yield text[:1] + value[1:].encode() + text[:1]
                yield text[:1] + value[:-1].encode() + text[:1]
        case _ if _is_infinity(node):
            yield b"0"
            yield b"-" + text
        case ast.UnaryOp(op=ast.USub()):
            yield text[1:].lstrip()


def _is_infinity(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value="inf")]):
            return True
    return False
