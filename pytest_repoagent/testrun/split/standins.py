"""What a process holds in place of the other's functions, iterators and instances."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, GeneratorType, MethodType
from typing import Any

from pytest_repoagent.testrun.split.plain import Unservable

__tracebackhide__ = True
# The attributes of functions that are worth a question; no other name of this kind is there.
_ASKED = frozenset(
    {"__defaults__", "__kwdefaults__", "__wrapped__", "__signature__", "__code__", "__globals__", "__closure__"}
)
_ASKED_IF_BARE = _ASKED - {"__wrapped__"}
_MOCK = "_mock_name"  # pytest asks every function whether it is a mock
Call = Callable[[int, str | None, tuple[Any, ...], dict[str, Any]], Any]
Get = Callable[[Any, str], Any]


class StandIns:
    """Makes the stand-ins of one process."""

    def __init__(self, call: Call, get: Get, *, methods: bool) -> None:
        """Make none yet.

        Args:
            call: calls an object of the other process, or a method of it.
            get: asks for an attribute of one.
            methods: instances may have more than the attributes that cross with them.
        """
        self._call = call
        self._get = get
        self._methods = methods
        self._kinds: dict[tuple[str, str], type] = {}

    def function(self, number: int, module: str, name: str, bare: bool) -> Any:
        """A callable; a bare one has no ``__wrapped__``."""
        return _Function(self._call, self._get, number, module, name, _ASKED_IF_BARE if bare else _ASKED)

    def iterator(self, number: int, kind: str, name: str) -> Any:
        """An iterator or generator."""
        return (_Generator if kind == "generator" else _Iterator)(
            self._call, self._get, number, f"{kind} object {name}"
        )

    def kind(self, module: str, name: str) -> type:
        """A class for the other process' instances; they differ from each other by identity alone."""
        if (module, name) not in self._kinds:
            space: dict[str, Any] = {"__module__": module, "__qualname__": name}
            if self._methods:
                space["__getattr__"] = self._missing
            self._kinds[module, name] = type(name.rpartition(".")[2], (), space)
        return self._kinds[module, name]

    @property
    def _missing(self) -> Get:
        get = self._get
        return lambda instance, name: _absent(instance, name) if _is_special(name) else get(instance, name)


class _Function:
    """A function to ``isinstance``."""

    def __init__(self, call: Call, get: Get, number: int, module: str, name: str, asked: frozenset[str]) -> None:
        vars(self).update(_call=call, _get=get, _number=number, _asked=asked)
        vars(self).update(__module__=module, __qualname__=name, __name__=name.rpartition(".")[2])

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return FunctionType

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self._get(self, "__doc__")

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._number, None, args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<function {self.__qualname__} at 0x{id(self):x}>"

    def __getattr__(self, name: str) -> Any:
        absent = name == _MOCK if not _is_special(name) else name not in self._asked
        return _absent(self, name) if absent else self._get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Unservable(f"setting {name} of a function of the other process")


class _Iterator:
    def __init__(self, call: Call, get: Get, number: int, what: str) -> None:
        vars(self).update(_call=call, _get=get, _number=number, _what=what)

    def __repr__(self) -> str:
        return f"<{self._what} at 0x{id(self):x}>"

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        return self._call(self._number, "__next__", (), {})

    def __getattr__(self, name: str) -> Any:
        return _absent(self, name) if _is_special(name) else self._get(self, name)


class _Generator(_Iterator):
    """A generator to ``isinstance``."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return GeneratorType

    def send(self, value: Any) -> Any:
        """As of generators."""
        return self._call(self._number, "send", (value,), {})

    def throw(self, *error: Any) -> Any:
        """As of generators."""
        return self._call(self._number, "throw", error, {})

    def close(self) -> None:
        """As of generators."""
        self._call(self._number, "close", (), {})


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _absent(value: Any, name: str) -> Any:
    raise AttributeError(f"{value.__class__.__name__!r} object has no attribute {name!r}")
