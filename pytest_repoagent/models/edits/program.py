"""What can be read off a program without running it: sites, scopes, kinds of values, suspicious signs."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

from pytest_repoagent.models.edits.kinds import Kinds

_Node = TypeVar("_Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr)
LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
LOOP = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSION = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
NEAREST = 10
"""How many of the names in sight are combined with each other, lest a long function give a million candidates."""
_PUTS = ("append", "appendleft", "extend", "insert", "add", "update", "setdefault")
_SKIPPED = (ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Global, ast.Nonlocal)
_SKIPPED_FIELDS = ("annotation", "returns", "decorator_list", "type_params", "format_spec")


def parse(source: str) -> ast.Module:
    """The module, without the compiler's warnings.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is no Python this interpreter takes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


class Program:
    """A parsed program and the facts about it that operators ask for.

    Attributes:
        source: its text.
        tree: its syntax tree; operators must not change it.
        dump: the tree as text.
        sites: the nodes that may be edited, in source order; no docstrings, imports, annotations, f-strings and
            nothing below ``if __name__ == ...``.
        kinds: what kinds of values expressions may have.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.tree = parse(source)
        self.dump = ast.dump(self.tree)
        self._places = {child: (node, field) for node in ast.walk(self.tree) for field, child in _children(node)}
        self.sites = tuple(_sites(self.tree))
        self.kinds = Kinds(self.sites)
        self._scopes: dict[ast.AST, list[tuple[str, ast.stmt]]] = {}

    def of(self, *types: type[_Node]) -> Iterator[_Node]:
        """The sites of these types."""
        return (site for site in self.sites if isinstance(site, types))

    def parent(self, node: ast.AST) -> ast.AST:
        """The node around ``node``; the module is its own parent."""
        return self._places[node][0] if node in self._places else self.tree

    def field(self, node: ast.AST) -> str:
        """The name of the parent's field that holds ``node``."""
        return self._places[node][1]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """``node`` and every node around it, the innermost first."""
        while True:
            yield node
            if node not in self._places:
                return
            node = self._places[node][0]

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds ``node``."""
        return next(n for n in self.around(node) if isinstance(n, ast.stmt))

    def functions_around(self, node: ast.AST) -> list[Function]:
        """The functions whose bodies hold ``node``, the innermost first."""
        return [n for n in self.around(node) if isinstance(n, FUNCTION) and n is not node]

    def loop_around(self, node: ast.AST) -> ast.For | ast.AsyncFor | ast.While | None:
        """The innermost loop around ``node`` within its function."""
        for outer in self.around(node):
            if isinstance(outer, LOOP) and outer is not node:
                return outer
            if isinstance(outer, FUNCTION):
                break
        return None

    def is_recursive(self, call: ast.Call) -> bool:
        """Whether ``call`` calls a function whose body holds it."""
        return isinstance(call.func, ast.Name) and any(f.name == call.func.id for f in self.functions_around(call))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Every function of the program in source order."""
        return tuple(site for site in self.sites if isinstance(site, FUNCTION))

    @cached_property
    def read_names(self) -> dict[str, int]:
        """Name -> how often it is read."""
        counts: dict[str, int] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                counts[node.id] = counts.get(node.id, 0) + 1
        return counts

    @cached_property
    def expressions(self) -> frozenset[str]:
        """Dumps of the expressions in the program, except plain names and literals."""
        plain = (ast.Name, ast.Constant)
        return frozenset(ast.dump(site) for site in self.of(ast.expr) if not isinstance(site, plain))

    def is_unused(self, name: str) -> bool:
        """Whether a parameter or variable is set and never read; a loop's own variable need not be."""
        return name not in self.read_names and name not in self._loop_names

    @cached_property
    def _loop_names(self) -> frozenset[str]:
        targets = [loop.target for loop in self.of(ast.For)] + [part.target for part in self.of(ast.comprehension)]
        return frozenset(name for target in targets for name in names_stored(target))

    def variables(self, node: ast.AST) -> tuple[str, ...]:
        """Names of values that ``node`` could read, the innermost scope first; functions and imports are not values."""
        found: dict[str, None] = {}
        statement = self.statement(node)
        inside = node
        innermost = True
        for outer in self.around(node):
            if isinstance(outer, COMPREHENSION) and inside is not outer and inside is not outer.generators[0]:
                found.update(dict.fromkeys(n for g in outer.generators for n in names_stored(g.target)))
            elif isinstance(outer, ast.comprehension) and inside is not outer.iter and inside is not outer.target:
                found.update(dict.fromkeys(names_stored(outer.target)))
            elif isinstance(outer, ast.Lambda):
                found.update(dict.fromkeys(parameters(outer)))
            elif isinstance(outer, FUNCTION) and outer is not node:
                bound = self._bound(outer, statement if innermost else None)
                found.update(dict.fromkeys((*bound, *parameters(outer))))
                innermost = False
            elif isinstance(outer, ast.Module):
                found.update(dict.fromkeys(self._bound(outer, statement if innermost else None)))
            inside = outer
        return tuple(found)

    @cached_property
    def assignments(self) -> dict[str, list[ast.Assign]]:
        """Name -> the plain assignments that bind it."""
        found: dict[str, list[ast.Assign]] = {}
        for node in self.of(ast.Assign):
            for name in dict.fromkeys(names_stored(node)):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def grown(self) -> frozenset[str]:
        """Names of containers that the program puts something into."""
        owners: list[ast.expr] = []
        for site in self.sites:
            match site:
                case ast.Attribute(value=owner, attr=attr) if attr in _PUTS:
                    owners.append(owner)
                case ast.Subscript(value=owner, ctx=ast.Store()) | ast.AugAssign(target=owner):
                    owners.append(owner)
        return frozenset(owner.id for owner in owners if isinstance(owner, ast.Name))

    def ingredients(self, node: ast.AST) -> list[ast.stmt]:
        """The simple statements of the function around ``node``, and its calls of itself as statements."""
        return self._ingredients.get(tuple(self.functions_around(node)), [])

    @cached_property
    def _ingredients(self) -> dict[tuple[Function, ...], list[ast.stmt]]:
        found: dict[tuple[Function, ...], list[ast.stmt]] = {}
        for site in self.sites:
            group = found.setdefault(tuple(self.functions_around(site)), [])
            if isinstance(site, SIMPLE):
                group.append(site)
            elif isinstance(site, ast.Call) and self.is_recursive(site):
                group += [ast.Return(site), ast.Expr(site)]
        return found

    def local_names(self, node: ast.AST) -> list[str]:
        """Names that the function around ``node`` binds anywhere, its parameters aside."""
        return [name for function in self.functions_around(node)[:1] for name, _ in self._bindings(function)]

    def _bound(self, scope: Function | ast.Module, at: ast.stmt | None) -> list[str]:
        """Names that ``scope``'s own statements store, the latest first; with ``at``, those that it may see stored."""
        if at is None:
            return [name for name, _ in self._bindings(scope)]
        loop = self.loop_around(at)
        return [
            name
            for name, binder in self._bindings(scope)
            if binder.lineno < at.lineno or (loop is not None and loop in self.around(binder))
        ]

    def _bindings(self, scope: Function | ast.Module) -> list[tuple[str, ast.stmt]]:
        if scope not in self._scopes:
            nodes = [n for n in _own_nodes(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            self._scopes[scope] = [(n.id, self.statement(n)) for n in reversed(nodes)]
        return self._scopes[scope]


def text_of(node: ast.AST) -> str:
    """The node as source text."""
    return ast.unparse(ast.fix_missing_locations(node))


def names_stored(target: ast.AST) -> list[str]:
    """Names that an assignment target binds, in order."""
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def names_read(node: ast.AST) -> list[str]:
    """Names that ``node`` reads, in order of the tree's levels."""
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]


def parameters(function: Function | ast.Lambda) -> list[str]:
    """Names of a function's parameters, without ``self`` and ``cls``."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    return [p.arg for p in every if p.arg not in ("self", "cls")]


def same(a: ast.AST, b: ast.AST) -> bool:
    """Whether two trees are equal, wherever they stand."""
    return ast.dump(a) == ast.dump(b)


def is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a bare string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope in source order, without those of functions, classes and comprehensions inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, (*FUNCTION, ast.ClassDef, ast.Lambda, *COMPREHENSION)):
            yield child
            yield from _own_nodes(child)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _sites(node: ast.AST) -> Iterator[ast.AST]:
    for field, child in _children(node):
        if field not in _SKIPPED_FIELDS and not _is_skipped(child):
            yield child
            yield from _sites(child)


def _is_skipped(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
        return "__name__" in names_read(node.test)
    return isinstance(node, _SKIPPED) or is_docstring(node)
