"""How objects with an identity cross: which of them by value, which by reference, which not at all."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import FunctionType
from typing import Any

from pytest_repoagent.testrun.split import plain
from pytest_repoagent.testrun.split.plain import OwnUnservable, Unservable, is_module, is_stdlib

EXACT: dict[type, str] = {
    list: "list",
    tuple: "tuple",
    OrderedDict: "OrderedDict",
    Counter: "Counter",
    defaultdict: "defaultdict",
    dict: "dict",
    set: "set",
    frozenset: "frozenset",
    bytearray: "bytearray",
    deque: "deque",
}
UNCHANGING = frozenset({"tuple", "frozenset", "namedtuple", "function", "iterator"})
BY_REFERENCE = frozenset({"function", "iterator"})
BARE = "bare"
"""Says that a function wraps no other, which pytest asks of every function."""
VIEWS: dict[type, str] = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}
_ATOMS = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
)
_NAME_CHARS = 200
# What a class may have and its instances still are no more than their attributes.
_HARMLESS = frozenset(
    {"__module__", "__qualname__", "__doc__", "__init__", "__repr__", "__dict__", "__weakref__", "__annotations__"}
    | {
        "__slotnames__",
        "__firstlineno__",
        "__static_attributes__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
    }
)
_HARMLESS_SPECIALS = _HARMLESS | {
    *("__new__", "__slots__", "__match_args__", "__dataclass_fields__", "__dataclass_params__", "__getstate__"),
    *("__setstate__", "__replace__", "__orig_bases__", "__parameters__", "__type_params__"),
}
_NAMED_TUPLE = frozenset(vars(namedtuple("_", ""))) | {"__orig_bases__", "__annotations__", "_field_types"}


def trusted(value: Any) -> str:
    """The tag of an object of the judge's.

    Raises:
        Unservable: the worker could not be given one that behaves the same. It is :class:`OwnUnservable` where no
            program can have made it.
    """
    kind = type(value)
    if kind in EXACT:
        return EXACT[kind]
    if _is_named_tuple(kind) and vars(kind).keys() <= _NAMED_TUPLE | set(kind._fields):
        return "namedtuple"
    if hasattr(kind, "__next__"):
        return "iterator"
    if issubclass(kind, type):
        raise OwnUnservable(f"the class {value.__qualname__}")
    if callable(value):
        return "function"
    if all(base is object or vars(base).keys() <= _HARMLESS for base in kind.__mro__):
        return "bag"
    was_raised = isinstance(value, BaseException) and value.__traceback__
    raise (Unservable if was_raised else OwnUnservable)(f"an object of {_named(kind)}")


def untrusted(value: Any, notes: list[str]) -> str:
    """The tag of an object of the worker's; what of it gets lost is added to ``notes``.

    Raises:
        Unservable: nothing of it would be left.
    """
    kind = type(value)
    if kind in EXACT:
        return EXACT[kind]
    if _is_named_tuple(kind):
        if not vars(kind).keys() <= _NAMED_TUPLE | set(kind._fields):
            notes.append(f"methods of {_named(kind)}")
        return "namedtuple"
    for base, tag in EXACT.items():
        if issubclass(kind, base):
            notes.append(f"an object of {_named(kind)} as a plain {tag}")
            return tag
    if hasattr(kind, "__next__"):
        return "iterator"
    if issubclass(kind, type) or is_module(value) or issubclass(kind, BaseException):
        raise Unservable(f"the {'class' if issubclass(kind, type) else 'value'} {_short(repr(value))}")
    if callable(value):
        return "function"
    if is_stdlib(str(kind.__module__)) and kind is not object:
        raise Unservable(f"an object of {_named(kind)}")
    special = {name for base in kind.__mro__[:-1] for name in vars(base) if name.startswith("__")}
    if special - _HARMLESS_SPECIALS:
        notes.append(f"{', '.join(sorted(special - _HARMLESS_SPECIALS))} of {_named(kind)}")
    return "bag"


def atom(value: Any, notes: list[str]) -> Any:
    """An instance of a subclass of ``int``, ``str`` and the like as JSON, or :data:`plain.NO`."""
    kind = type(value)
    for base, convert in _ATOMS:
        if issubclass(kind, base):
            notes.append(f"an object of {_named(kind)} as a plain {base.__name__}")
            return plain.pack(convert(value), False)
    return plain.NO


def describe(tag: str, value: Any) -> list[Any]:
    """What the other end is told of a function or an iterator."""
    if tag == "iterator":
        return [_short(type(value).__name__), _short(getattr(value, "__qualname__", ""))]
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    facts = [_short(module), _short(name) or _short(type(value).__name__)]
    return [*facts, BARE] if type(value) is FunctionType and "__wrapped__" not in vars(value) else facts


def attributes(value: Any) -> dict[str, Any]:
    """The attributes of an instance."""
    found = {name: item for name, item in getattr(value, "__dict__", {}).items() if type(name) is str}
    for name in _slots(type(value)):  # type: ignore[arg-type]
        if hasattr(value, name):
            found[name] = getattr(value, name)
    return found


def set_attributes(value: Any, new: Mapping[str, Any], gone: Iterable[str]) -> None:
    """Change the attributes of an instance, past whatever its class does when attributes are set."""
    slots = _slots(type(value))  # type: ignore[arg-type]
    own = getattr(value, "__dict__", {})
    for name, item in new.items():
        if name in slots:
            object.__setattr__(value, name, item)
        else:
            own[name] = item
    for name in gone:
        own.pop(name, None)


@lru_cache
def named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    """The class of a named tuple that the other end made."""
    return namedtuple(name, fields)


def pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    """``[a, 1, b, 2]`` as ``(a, 1), (b, 2)``."""
    return zip(flat[::2], flat[1::2], strict=True)


@lru_cache
def _slots(kind: type) -> list[str]:
    if kind.__mro__ == (kind, object) and "__slots__" not in vars(kind):
        return []
    declared = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    names = [name for slots in declared for name in ([slots] if type(slots) is str else slots)]
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _is_named_tuple(kind: type) -> bool:
    return kind.__bases__ == (tuple,) and type(getattr(kind, "_fields", None)) is tuple


def _named(kind: type) -> str:
    return _short(f"{kind.__module__}.{kind.__qualname__}")


def _short(text: Any) -> str:
    return text[:_NAME_CHARS] if type(text) is str else ""
