"""Values without an identity of their own, as JSON: null, strings and integers as they are, all else ``[tag, ...]``.

The judge takes types and functions by name from the worker only where calling them can do nothing but compute.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, ModuleType, WrapperDescriptorType
from typing import Any

__tracebackhide__ = True


class Unservable(TypeError):
    """A test and its program share what cannot cross between processes."""


class OwnUnservable(Unservable):
    """So it is with an object of the tests' own, whatever the program is."""


class Malformed(Exception):
    """What the other side sent means nothing."""


NO = object()
"""What :func:`pack` returns for a value that is not plain."""

_SMALL = 1 << 63
_TYPES = (
    *("bool", "bytearray", "bytes", "complex", "dict", "enumerate", "filter", "float", "frozenset", "int", "list"),
    *("map", "object", "range", "reversed", "set", "slice", "str", "tuple", "zip"),
)
_FUNCTIONS = (
    *("abs", "all", "any", "ascii", "bin", "callable", "chr", "divmod", "format", "hash", "hex", "id", "isinstance"),
    *("issubclass", "iter", "len", "max", "min", "next", "oct", "ord", "pow", "repr", "round", "sorted", "sum"),
)
_HARMLESS = {
    "builtins": frozenset(_TYPES + _FUNCTIONS),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque"}),
    "datetime": frozenset({"date", "datetime", "time", "timedelta"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
}
_NAMED = (BuiltinFunctionType, FunctionType, MethodDescriptorType, WrapperDescriptorType, type)


def pack(value: Any, any_name: bool) -> Any:
    """A plain value as JSON, or :data:`NO`.

    Args:
        value: anything.
        any_name: types and functions of the whole standard library may go by name, not just harmless ones.
    """
    kind = type(value)
    packer = _PACK.get(kind)
    if packer is None and kind.__module__ in _LAZY:
        packer = _lazily(kind)
    if packer is not None:
        return packer(value)
    if isinstance(value, _NAMED):
        return _pack_name(value, any_name)
    return NO


def unpack(packed: Any, any_name: bool) -> Any:
    """The value that :func:`pack` was given.

    Raises:
        Malformed: it is not what ``pack`` makes. Other exceptions mean the same.
    """
    if packed is None or type(packed) is int or type(packed) is str:
        return packed
    if type(packed) is not list:
        raise Malformed
    tag, *rest = packed
    if tag == "name":
        return _unpack_name(*rest, any_name=any_name)
    return _UNPACK[tag](*rest)


def _pack_int(value: int) -> Any:
    return value if -_SMALL < value < _SMALL else ["int", hex(value)]


def _pack_str(value: str) -> Any:
    """JSON would make one character of two surrogates that stand beside each other."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return ["str", value.encode("utf-8", "surrogatepass").hex()]
    return value


def _pack_slice(value: slice) -> Any:
    parts = [pack(part, False) for part in (value.start, value.stop, value.step)]
    return NO if any(part is NO for part in parts) else ["slice", *parts]


def _pack_datetime(value: Any) -> Any:
    zone = value.tzinfo
    if zone is not None and (type(zone) is not sys.modules["datetime"].timezone or len(zone.__getinitargs__()) > 1):
        return NO
    return [type(value).__name__, value.isoformat(), value.fold]


def _pack_delta(value: Any) -> Any:
    return ["timedelta", value.days, value.seconds, value.microseconds]


def _unpack_datetime(name: str) -> Callable[[str, int], Any]:
    return lambda text, fold: getattr(_stdlib("datetime"), name).fromisoformat(text).replace(fold=fold)


def _stdlib(name: str) -> Any:
    return sys.modules.get(name) or importlib.import_module(name)


_PACK: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: value,
    int: _pack_int,
    str: _pack_str,
    bool: lambda value: ["bool", int(value)],
    float: lambda value: ["float", repr(value)],
    complex: lambda value: ["complex", repr(value.real), repr(value.imag)],
    bytes: lambda value: ["bytes", value.hex()],
    range: lambda value: ["range", *map(_pack_int, (value.start, value.stop, value.step))],
    slice: _pack_slice,
    # The empty ones are the same object everywhere.
    tuple: lambda value: NO if value else ["()"],
    frozenset: lambda value: NO if value else ["frozenset"],
    type(...): lambda value: ["..."],
    type(NotImplemented): lambda value: ["NotImplemented"],
}
# Loaded only by who uses them.
_LAZY: dict[str, dict[str, Callable[[Any], Any]]] = {
    "decimal": {"Decimal": lambda value: ["Decimal", str(value)]},
    "fractions": {"Fraction": lambda value: ["Fraction", _pack_int(value.numerator), _pack_int(value.denominator)]},
    "datetime": {
        "date": lambda value: ["date", value.isoformat()],
        "time": _pack_datetime,
        "datetime": _pack_datetime,
        "timedelta": _pack_delta,
    },
}
_UNPACK: dict[str, Callable[..., Any]] = {
    "int": lambda digits: int(digits, 16),
    "str": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogatepass"),
    "bool": lambda number: (False, True)[number],
    "float": float,
    "complex": lambda real, imaginary: complex(float(real), float(imaginary)),
    "bytes": bytes.fromhex,
    "range": lambda *parts: range(*(unpack(part, False) for part in parts)),
    "slice": lambda *parts: slice(*(unpack(part, False) for part in parts)),
    "()": lambda: (),
    "frozenset": frozenset,
    "...": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "Decimal": lambda text: _stdlib("decimal").Decimal(text),
    "Fraction": lambda *parts: _stdlib("fractions").Fraction(*(unpack(part, False) for part in parts)),
    "date": lambda text: _stdlib("datetime").date.fromisoformat(text),
    "time": _unpack_datetime("time"),
    "datetime": _unpack_datetime("datetime"),
    "timedelta": lambda days, seconds, micro: _stdlib("datetime").timedelta(days, seconds, micro),
}


def _lazily(kind: type) -> Callable[[Any], Any] | None:
    packer = _LAZY[kind.__module__].get(kind.__name__)
    return packer if getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind else None


def _pack_name(value: Any, any_name: bool) -> Any:
    owner = getattr(value, "__objclass__", value)
    module, name = getattr(owner, "__module__", None), getattr(value, "__qualname__", None)
    if type(module) is not str or type(name) is not str:
        return NO
    if not (is_stdlib(module) if any_name else _harmless(module, name)):
        return NO
    try:
        found = _find(module, name)
    except (AttributeError, ImportError):
        return NO
    return ["name", module, name] if found is value else NO


def _unpack_name(module: str, name: str, *, any_name: bool) -> Any:
    if not any_name and not _harmless(module, name):
        raise Malformed
    return _find(module, name)


def _find(module: str, name: str) -> Any:
    found = _stdlib(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def is_stdlib(module: str) -> bool:
    """Whether a module of this name belongs to the standard library."""
    top = module.partition(".")[0]
    return top != "__main__" and (top in sys.stdlib_module_names or top == "builtins")


def _harmless(module: str, name: str) -> bool:
    owner, _, method = name.partition(".")
    if method:
        return module == "builtins" and owner in _TYPES and not method.startswith("_") and "." not in method
    if module in ("math", "_operator"):
        source = _stdlib(module)
        return not name.startswith("_") and isinstance(getattr(source, name, None), BuiltinFunctionType)
    if module == "builtins" and name not in _HARMLESS[module]:
        error = getattr(builtins, name, None)
        return isinstance(error, type) and issubclass(error, BaseException)
    return name in _HARMLESS.get(module, ())


def is_module(value: Any) -> bool:
    """Whether a value is a module, whatever its class claims."""
    return issubclass(type(value), ModuleType)


def text(value: Any) -> str:
    """The value, which must be a string.

    Raises:
        Malformed: it is none.
    """
    if type(value) is not str:
        raise Malformed
    return value
