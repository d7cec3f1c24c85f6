"""Imports in the judge's process: the program's modules from the worker, all others as ever."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import FrozenImporter, ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import PurePosixPath
from types import CodeType, ModuleType
from typing import Any, NoReturn, Protocol

from pytest_repoagent.testrun.split.plain import Unservable

__tracebackhide__ = True
_OWNER, _LOADS = "__owner__", "__loads__"
_own: Any = vars(ModuleType)["__dict__"].__get__
# Modules that look into any module on their own account.
_MAY_LOOK = frozenset({"importlib._bootstrap", "importlib._bootstrap_external", "inspect"})
_NOT_ASKED = frozenset(
    {"__path__", "__spec__", "__file__", "__loader__", "__package__", "__cached__", "__builtins__", "__wrapped__"}
)


class Program(Protocol):
    """Who knows what is in the program's modules."""

    def load(self, module: str) -> None:
        """Import a module."""
        ...

    def get_global(self, module: str, name: str) -> tuple[bool, Any]:
        """Whether the attribute of a module is the module of that name in it; if not, its value."""
        ...

    def names(self, module: str, which: str) -> list[str]:
        """The names that a star import takes (``names``), or all (``dir``)."""
        ...

    def refused(self, reasons: Sequence[str]) -> None:
        """Note what cannot be served."""
        ...

    def stuck(self, reason: str) -> None:
        """Note what the tests want and cannot have, which is never a program's doing."""
        ...


class Finder:
    """Finds the modules that Python would find among the program's files if these were where the tests are."""

    def __init__(self, owner: Program, work: str, program: Mapping[str, str]) -> None:
        self._owner = owner
        self._work = work
        self._program: Mapping[str, str] = {}
        self._folders, self._first_names = {""}, {""}
        self.program = program

    @property
    def program(self) -> Mapping[str, str]:
        """Relative path -> text."""
        return self._program

    @program.setter
    def program(self, program: Mapping[str, str]) -> None:
        before, self._program = self._program, program
        if program.keys() == before.keys():
            return
        paths = [PurePosixPath(path) for path in program]
        self._folders = {str(folder) for path in paths for folder in path.parents} | {""}
        self._first_names = {path.stem for path in paths} | {PurePosixPath(folder).name for folder in self._folders}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The program's module of this name, or None where that is another's."""
        last = name.rpartition(".")[2]
        if last not in self._first_names:
            return None
        if path is None and (name in sys.builtin_module_names or FrozenImporter.find_spec(name)):
            return None
        portions: list[str] = []
        ours = False
        for entry in sys.path if path is None else path:
            folder = self._relative(entry)
            if folder is not None:
                inner = f"{folder}/{last}".lstrip("/")
                if f"{inner}/__init__.py" in self._program:
                    return self._spec(name, f"{inner}/__init__.py", [f"{self._work}/{inner}"])
                if f"{inner}.py" in self._program and not os.path.isfile(f"{self._work}/{inner}/__init__.py"):
                    return self._spec(name, f"{inner}.py", None)
                if inner in self._folders:
                    ours = True
                    portions.append(f"{self._work}/{inner}")
            found = PathFinder.find_spec(name, [entry])
            if found and found.loader:
                return None
            portions += [part for part in (found and found.submodule_search_locations) or () if part not in portions]
        if not ours:
            return None
        namespace = ModuleSpec(name, None, is_package=True)
        namespace.submodule_search_locations = portions
        return namespace

    def search_path(self) -> list[str]:
        """The folders of ``sys.path`` below ``work``, relative to it."""
        folders = map(self._relative, sys.path)
        return [folder for folder in folders if folder is not None]

    def inside(self, path: Any) -> str | None:
        """The program's file or folder that a path names, relative to ``work``."""
        relative = self._relative(path)
        return relative if relative in self._program else None

    def is_trusted(self, path: str) -> bool:
        """Whether the tests, but not the program, have a file (or package) of this relative path."""
        candidates = [f"{folder}/{path}" for folder in ("", *self.search_path())]
        return any(
            os.path.exists(f"{self._work}/{candidate}")
            or os.path.isdir(f"{self._work}/{candidate.removesuffix('.py')}")
            for candidate in candidates
        )

    def _relative(self, path: str) -> str | None:
        try:
            path = os.path.abspath(path)
        except OSError:
            return None
        return "" if path == self._work else path[len(self._work) + 1 :] if path.startswith(self._work + "/") else None

    def _spec(self, name: str, path: str, package: list[str] | None) -> ModuleSpec | None:
        filename = f"{self._work}/{path}"
        loader = _Loader(name, filename)
        loader.owner = self._owner
        return spec_from_file_location(name, filename, loader=loader, submodule_search_locations=package)


class _Loader(SourceFileLoader):
    """Loads a stand-in: as a source loader, so that importlib takes its own frames out of tracebacks."""

    owner: Program

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name, self.owner)

    def get_code(self, fullname: str) -> CodeType:
        return compile(f"{_LOADS}()", "<import>", "exec")


class _Module(ModuleType):
    # A module of the program's; whatever it has is asked for.

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self.__getattr__("__doc__")

    def __init__(self, name: str, owner: Program) -> None:
        super().__init__(name)
        _own(self).update({"__tracebackhide__": True, _LOADS: self._load, _OWNER: owner})

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        if sys._getframe(1).f_globals.get("__name__") not in _MAY_LOOK:
            reason = f"all of {self.__name__} at once"
            _own(self)[_OWNER].refused([reason])  # a program may bring it about by what it says of ``__all__``
            raise Unservable(reason)
        own: dict[str, Any] = _own(self)
        return own

    def _load(self) -> None:
        own = _own(self)
        own[_OWNER].load(self.__name__)
        for name in ("__tracebackhide__", _LOADS, "__builtins__"):
            own.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name in _NOT_ASKED:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        owner = _own(self)[_OWNER]
        if name == "__all__":
            return owner.names(self.__name__, "names")
        is_module, value = owner.get_global(self.__name__, name)
        return importlib.import_module(f"{self.__name__}.{name}") if is_module else value

    def __dir__(self) -> list[str]:
        names: list[str] = _own(self)[_OWNER].names(self.__name__, "dir")
        return names

    def __setattr__(self, name: str, value: Any) -> None:
        is_submodule = isinstance(value, ModuleType) and sys.modules.get(f"{self.__name__}.{name}") is value
        if not is_submodule and name not in _NOT_ASKED:
            self._refuse(f"setting {self.__name__}.{name}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._refuse(f"deleting {self.__name__}.{name}")

    def _refuse(self, reason: str) -> NoReturn:
        _own(self)[_OWNER].stuck(reason)
        raise Unservable(reason)
