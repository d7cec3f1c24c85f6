"""Exceptions across: their class, arguments, text, traceback and what they were raised from.

A fault is a list of links: the exception first, then its causes, contexts and, of a group, its members. A link is
``[[module, name, bases], number of arguments, attribute names, text, frames, origin, cause, context, suppress,
members]``; arguments and attributes travel as the message's values.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

from pytest_repoagent.testrun.split import plain, tracing
from pytest_repoagent.testrun.split.plain import Malformed, Unservable, is_stdlib

__tracebackhide__ = True
MAX_LINKS = 12
TEXT_CHARS = 1 << 18
OUTCOMES = "_pytest.outcomes"
_WORK = "\0work\0"
_NAME_CHARS = 200
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
# Attributes that are not in an exception's dictionary and do not follow from its arguments.
_SLOTS: tuple[tuple[type[BaseException], tuple[str, ...]], ...] = (
    (OSError, ("filename", "filename2")),
    (ImportError, ("name", "path", "msg")),
    (SyntaxError, ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")),
)


class Faults:
    """Describes this end's exceptions and rebuilds the other end's."""

    def __init__(self, work: str, traceback: Callable[[Any], TracebackType | None] | None = None) -> None:
        """``work`` is this end's name of the folder that both have; ``traceback`` makes one from a link's frames."""
        self._work = work
        self._traceback = traceback
        self._raised: list[BaseException] = []
        self._rebuilt: dict[int, tuple[int, BaseException]] = {}

    def describe(self, error: BaseException, nested: bool) -> tuple[str, list[Any], list[Any]]:
        """A fault as an answer; where ``nested``, the exception may come back, and is then raised as itself."""
        errors = _linked(error)
        numbers = {id(linked): number for number, linked in enumerate(errors)}
        links: list[list[Any]] = []
        values: list[Any] = []
        for linked in errors:
            text = _text(linked)
            arguments, attributes = _arguments(linked, text), _attributes(linked)
            links.append(
                [
                    _class_facts(type(linked)),
                    len(arguments),
                    list(attributes),
                    self._without_work(text),
                    [] if self._traceback else tracing.facts(linked, self._work),
                    -self._rebuilt[id(linked)][0] if id(linked) in self._rebuilt else 0,
                    numbers.get(id(linked.__cause__)),
                    numbers.get(id(linked.__context__)),
                    int(linked.__suppress_context__),
                    [numbers[id(member)] for member in _members(linked) if id(member) in numbers],
                ]
            )
            values += map(self._without_work, [*arguments, *attributes.values()])
        if nested and not links[0][5]:
            self._raised.append(error)
            links[0][5] = len(self._raised)
        return "fault", links, values

    def rebuild(self, links: list[Any], values: list[Any]) -> BaseException:
        """The exception that a fault describes.

        Raises:
            Malformed: it describes none. Other exceptions mean the same.
        """
        if not 0 < len(links) <= MAX_LINKS:
            raise Malformed
        rest = iter(map(self._with_work, values))
        parts = [([next(rest) for _ in range(link[1])], {name: next(rest) for name in link[2]}) for link in links]
        errors: list[Any] = [None] * len(links)
        for number in reversed(range(len(links))):
            errors[number] = self._rebuild(links[number], *parts[number], errors)
        for error, link in zip(errors, links, strict=True):
            if link[5] >= 0:
                error.__cause__, error.__context__ = (None if at is None else errors[at] for at in link[6:8])
                error.__suppress_context__ = bool(link[8])
        first: BaseException = errors[0]
        return first

    def reset(self) -> None:
        """Nothing that was raised so far can come back."""
        self._raised.clear()
        self._rebuilt.clear()

    def _rebuild(self, link: list[Any], arguments: list[Any], attributes: dict[Any, Any], errors: list[Any]) -> Any:
        facts, _, _, text, frames, origin, _, _, _, members = link
        traceback = self._traceback(frames) if self._traceback else None
        if origin < 0:
            error = self._raised[-origin - 1]
            return error.with_traceback(tracing.joined(traceback, error.__traceback__))
        if members:
            arguments = [*arguments[:1], [errors[member] for member in members]]
            if None in arguments[1]:
                raise Malformed
        kind = _class(*facts)
        error = _instance(kind, arguments, attributes)
        text = self._with_work(plain.text(text))
        if _text(error) != text:
            error = _instance(_made(kind.__module__, kind.__qualname__, (kind,)), arguments, attributes)
            error.shown_text = text  # type: ignore[attr-defined]
        if origin:
            self._rebuilt[id(error)] = origin, error
        return error.with_traceback(traceback)

    def _without_work(self, value: Any) -> Any:
        return value.replace(self._work, _WORK) if type(value) is str else value

    def _with_work(self, value: Any) -> Any:
        return value.replace(_WORK, self._work) if type(value) is str else value


def _linked(error: BaseException) -> list[BaseException]:
    found = [error]
    for linked in found:
        near = [linked.__cause__, None if linked.__suppress_context__ else linked.__context__, *_members(linked)]
        for other in near:
            if other is not None and len(found) < MAX_LINKS and all(other is not known for known in found):
                found.append(other)
    return found


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))[:TEXT_CHARS]
    except BaseException:
        return "<exception str() failed>"


def _arguments(error: BaseException, text: str) -> list[Any]:
    if isinstance(error, BaseExceptionGroup):
        return [str.__str__(error.message)]
    if isinstance(error, SyntaxError):
        return [str(error.msg)]
    arguments = error.args
    return list(arguments) if all(map(_crosses, arguments)) else [text]


def _attributes(error: BaseException) -> dict[str, Any]:
    found = dict(vars(error))
    for kind, names in _SLOTS:
        if isinstance(error, kind):
            found |= {name: getattr(error, name) for name in names}
    return {name: value for name, value in found.items() if type(name) is str and _crosses(value)}


def _crosses(value: Any, depth: int = 4) -> bool:
    kind = type(value)
    if kind in _CONTAINERS and depth:
        items = [*value.keys(), *value.values()] if kind is dict else value
        return all(_crosses(item, depth - 1) for item in items)
    return plain.pack(value, False) is not plain.NO


def _class_facts(kind: type[BaseException]) -> list[Any]:
    bases: list[type] = []
    for base in kind.__mro__[1:]:
        if base.__module__ == "builtins" and base is not object and not any(issubclass(near, base) for near in bases):
            bases.append(base)
    return [_short(kind.__module__), _short(kind.__qualname__), [base.__name__ for base in bases]]


def _short(text: Any) -> str:
    return text[:_NAME_CHARS] if type(text) is str else "?"


def _class(module: str, name: str, bases: list[str]) -> type[BaseException]:
    """The class itself where it is everybody's, else one with its name."""
    if (module, name) == (Unservable.__module__, Unservable.__name__):
        return Unservable
    if is_stdlib(module) or module == OUTCOMES:
        # pytest's say that they are built in.
        for home in (module, OUTCOMES) if module == "builtins" else (module,):
            found = getattr(sys.modules.get(home), name, None)
            if isinstance(found, type) and issubclass(found, BaseException):
                return found
    kinds = tuple(getattr(builtins, base) for base in bases) or (Exception,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise Malformed
    return _made(plain.text(module), plain.text(name), kinds)


@lru_cache
def _made(module: str, name: str, bases: tuple[type[BaseException], ...]) -> type[BaseException]:
    space = {"__module__": module, "__qualname__": name, "__str__": lambda error: vars(error).get("shown_text", "")}
    return type(name.rpartition(".")[2], bases, space)


def _instance(kind: type[BaseException], arguments: list[Any], attributes: dict[Any, Any]) -> BaseException:
    if kind.__module__ == "builtins":
        try:
            error = kind(*arguments)
        except (TypeError, ValueError):
            error = kind.__new__(kind)
    else:
        error = kind.__new__(kind, *arguments)
        error.args = tuple(arguments)
    slots = {name for base, names in _SLOTS if issubclass(kind, base) for name in names}
    for name, value in attributes.items():
        if name in slots:
            setattr(error, name, value)
        elif name != "__notes__" or (type(value) is list and all(type(note) is str for note in value)):
            vars(error)[plain.text(name)] = value
    return error
