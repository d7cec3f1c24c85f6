"""Which kinds of values a program's names seem to hold: a guess from how they are made and used, never from running."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from enum import Flag, auto
from functools import reduce
from operator import or_


class Kind(Flag):
    """Kinds of values; an empty flag is unknown, several are "one of these"."""

    UNKNOWN = 0
    NUMBER = auto()
    TEXT = auto()
    SEQUENCE = auto()
    MAP = auto()
    SET = auto()
    TRUTH = auto()
    FUNCTION = auto()
    OBJECT = auto()
    NONE = auto()


CONTAINER = Kind.SEQUENCE | Kind.MAP | Kind.SET | Kind.TEXT

_CALLS = {
    Kind.NUMBER: ("len", "int", "abs", "sum", "ord", "round", "float", "pow", "hash"),
    Kind.SEQUENCE: (
        "list",
        "sorted",
        "reversed",
        "range",
        "enumerate",
        "zip",
        "map",
        "filter",
        "tuple",
        "deque",
        "divmod",
    ),
    Kind.SET: ("set", "frozenset"),
    Kind.MAP: ("dict", "defaultdict", "Counter", "OrderedDict"),
    Kind.TEXT: ("str", "chr", "repr", "bin", "hex", "format", "input"),
    Kind.TRUTH: ("bool", "any", "all", "isinstance", "callable", "hasattr"),
}
_RESULTS = {
    Kind.TEXT: ("join", "lower", "upper", "strip", "lstrip", "rstrip", "replace", "format", "title", "capitalize"),
    Kind.SEQUENCE: ("split", "rsplit", "splitlines", "keys", "values", "items", "partition"),
    Kind.NUMBER: ("index", "count", "find", "rfind", "sqrt", "floor", "ceil"),
    Kind.SET: ("union", "intersection", "difference", "symmetric_difference"),
    Kind.TRUTH: ("isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "startswith", "endswith"),
}
_OWNERS = {
    Kind.SEQUENCE: ("append", "extend", "insert", "sort", "reverse", "popleft", "appendleft", "index"),
    Kind.SET: ("add", "discard", "union", "intersection", "difference", "issubset", "issuperset"),
    Kind.MAP: ("items", "keys", "values", "get", "setdefault"),
    Kind.TEXT: (*_RESULTS[Kind.TEXT], *_RESULTS[Kind.TRUTH], "split", "rsplit", "find", "rfind"),
}
_CALL_KIND = {name: kind for kind, names in _CALLS.items() for name in names}
_RESULT_KIND = {name: kind for kind, names in _RESULTS.items() for name in names}
_ARITHMETIC = (ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Kinds:
    """The kinds of a program's names, one entry a name whatever its scope, and of expressions over them."""

    def __init__(self, sites: Sequence[ast.AST]) -> None:
        self._names: dict[str, Kind] = {}
        for turn in range(4):  # facts pass from name to name through assignments and calls
            self._guess = turn > 1
            for site in sites:
                self._learn(site)

    def name(self, name: str) -> Kind:
        """The kinds of a name."""
        return self._names.get(name, Kind.UNKNOWN)

    def compatibility(self, a: Kind, b: Kind) -> float:
        """How plausible it is that a value of kind ``a`` stands where one of kind ``b`` belongs: 0 to 1."""
        a, b = a & ~Kind.NONE, b & ~Kind.NONE
        if a and b:
            return 1.0 if a & b else 0.05
        return 0.35 if a or b else 0.6

    def of(self, node: ast.AST | None) -> Kind:
        """The kinds that the value of an expression may have."""
        match node:
            case ast.Name():
                return self.name(node.id)
            case ast.Constant():
                return _constant(node.value)
            case ast.List() | ast.ListComp() | ast.Tuple() | ast.GeneratorExp():
                return Kind.SEQUENCE
            case ast.Dict() | ast.DictComp():
                return Kind.MAP
            case ast.Set() | ast.SetComp():
                return Kind.SET
            case ast.JoinedStr():
                return Kind.TEXT
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return Kind.TRUTH
            case ast.UnaryOp():
                return Kind.NUMBER
            case ast.Lambda():
                return Kind.FUNCTION
            case ast.BoolOp():
                return _union(self.of(v) for v in node.values)
            case ast.IfExp():
                return self.of(node.body) | self.of(node.orelse)
            case ast.BinOp():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                base = self.of(node.value)
                return base if isinstance(node.slice, ast.Slice) else base & Kind.TEXT
        return Kind.UNKNOWN

    def _binary(self, node: ast.BinOp) -> Kind:
        both = self.of(node.left) | self.of(node.right)
        if isinstance(node.op, ast.Add):
            return both
        if isinstance(node.op, ast.Mod) and self.of(node.left) & Kind.TEXT:
            return Kind.TEXT
        if isinstance(node.op, (ast.Mult, ast.Sub, ast.BitOr, ast.BitAnd)):
            return both & (Kind.SEQUENCE | Kind.SET | Kind.TEXT) or Kind.NUMBER
        return Kind.NUMBER

    def _call(self, node: ast.Call) -> Kind:
        if isinstance(node.func, ast.Name):
            if node.func.id in ("min", "max"):
                return _union(self.of(a) for a in node.args) if len(node.args) > 1 else Kind.UNKNOWN
            return _CALL_KIND.get(node.func.id, self.name(f"{node.func.id}()"))
        if not isinstance(node.func, ast.Attribute):
            return Kind.UNKNOWN
        if node.func.attr == "get" and len(node.args) == 2:
            return self.of(node.args[1])
        return _RESULT_KIND.get(node.func.attr, Kind.UNKNOWN)

    def _add(self, node: ast.AST | None, kind: Kind) -> None:
        if isinstance(node, ast.Name):
            self._names[node.id] = self.name(node.id) | kind

    def _suppose(self, node: ast.AST | None, kind: Kind) -> None:
        """Take ``kind`` for something of which nothing better is known."""
        if self._guess and not self.of(node) & ~Kind.NONE:
            self._add(node, kind)

    def _learn(self, site: ast.AST) -> None:
        match site:
            case ast.Assign(targets=targets):
                for target in targets:
                    self._assign(target, site.value)
            case ast.AugAssign() | ast.NamedExpr():
                self._add(site.target, self.of(site.value))
            case ast.For() | ast.comprehension():
                self._loop(site.target, site.iter)
            case ast.BinOp(op=op) if isinstance(op, _ARITHMETIC):
                if not self.of(site) & (Kind.SEQUENCE | Kind.SET | Kind.TEXT):
                    self._add(site.left, Kind.NUMBER)
                    self._add(site.right, Kind.NUMBER)
            case ast.BinOp(op=ast.Add()):
                self._add(site.left, self.of(site.right))
                self._add(site.right, self.of(site.left))
            case ast.Compare(ops=[op], comparators=[right]):
                if isinstance(op, (*_ORDER, ast.Eq, ast.NotEq)):
                    self._add(site.left, self.of(right) & ~Kind.NONE)
                    self._add(right, self.of(site.left) & ~Kind.NONE)
            case ast.Subscript():
                if isinstance(site.slice, ast.Slice):
                    self._suppose(site.value, Kind.SEQUENCE)
                    self._add(site.slice.lower, Kind.NUMBER)
                    self._add(site.slice.upper, Kind.NUMBER)
                elif not self.of(site.value) & Kind.MAP:
                    self._suppose(site.value, Kind.SEQUENCE)
                    self._add(site.slice, Kind.NUMBER)
            case ast.Attribute(value=owner):
                known = _union(kind for kind, methods in _OWNERS.items() if site.attr in methods)
                if not self.of(owner) & known:
                    self._add(owner, known or Kind.OBJECT)
            case ast.Call():
                self._call_site(site)
            case ast.FunctionDef(name=name):
                self._function(site, name)

    def _assign(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for part, given in zip(target.elts, value.elts, strict=True):
                self._assign(part, given)
        for part in target.elts if isinstance(target, ast.Tuple) else []:
            if isinstance(part, ast.Starred):
                self._add(part.value, Kind.SEQUENCE)
        self._add(target, self.of(value))
        self._add(value, self.of(target) & ~Kind.NONE)

    def _loop(self, target: ast.AST, over: ast.AST) -> None:
        self._suppose(over, Kind.SEQUENCE)
        match over:
            case ast.Call(func=ast.Name(id="range")):
                self._add(target, Kind.NUMBER)
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]) if isinstance(target, ast.Tuple):
                self._add(target.elts[0], Kind.NUMBER)
                self._loop(target.elts[-1], inner)
            case ast.Call(func=ast.Name(id="reversed" | "sorted" | "list" | "set"), args=[inner]):
                self._loop(target, inner)
            case ast.Name() if self.of(over) == Kind.TEXT:
                self._add(target, Kind.TEXT)

    def _call_site(self, call: ast.Call) -> None:
        self._add(call.func, Kind.FUNCTION)
        if not isinstance(call.func, ast.Name):
            return
        for position, argument in enumerate(call.args):
            if call.func.id in ("range", "abs", "round"):
                self._add(argument, Kind.NUMBER)
            parameter = ast.Name(f"{call.func.id}({position})")
            self._add(parameter, self.of(argument))

    def _function(self, function: ast.FunctionDef, name: str) -> None:
        arguments = function.args.args
        for position, parameter in enumerate(arguments):
            self._add(ast.Name(parameter.arg), self.name(f"{name}({position})"))
        for parameter, default in zip(reversed(arguments), reversed(function.args.defaults), strict=False):
            self._add(ast.Name(parameter.arg), self.of(default))
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                self._add(ast.Name(f"{name}()"), self.of(node.value))
            elif isinstance(node, (ast.Yield, ast.YieldFrom)):
                self._add(ast.Name(f"{name}()"), Kind.SEQUENCE)


def _union(kinds: Iterable[Kind]) -> Kind:
    return reduce(or_, kinds, Kind.UNKNOWN)


def _constant(value: object) -> Kind:
    if value is None:
        return Kind.NONE
    if isinstance(value, bool):
        return Kind.TRUTH
    if isinstance(value, (int, float, complex)):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(value, (str, bytes)) else Kind.UNKNOWN
