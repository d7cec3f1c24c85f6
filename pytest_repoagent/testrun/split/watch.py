"""What tests do behind the bridge's back: reach or change what the program sees other than by calling it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, Protocol

from pytest_repoagent.testrun.split.plain import is_stdlib

__tracebackhide__ = True
_STARTS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"}
)
_ENVIRONMENT = frozenset({"os.putenv", "os.unsetenv"})


class Files(Protocol):
    """Who knows the program's files."""

    def inside(self, path: Any) -> str | None:
        """The program's file that a path names."""
        ...


class Watch:
    """Notes, once started, what the worker's process cannot see."""

    def __init__(self, files: Files, refused: Callable[[list[str]], None]) -> None:
        self._seeds = self._draws = False
        self._files = files
        self._refused = refused
        self._patched: set[str] = set()
        self._folder = os.getcwd()

    def start(self) -> None:
        """Watch from now on, for as long as this process lives."""
        sys.addaudithook(self._audit)
        self.look()

    def look(self) -> None:
        """Watch the patching tools that are loaded by now, and where this process is."""
        if os.getcwd() != self._folder:
            self._refused(["the tests change the current folder"])
        for name, watch in (
            ("_pytest.monkeypatch", self._watch_monkeypatch),
            ("unittest.mock", self._watch_mock),
            ("random", self._watch_random),
        ):
            if name in sys.modules and name not in self._patched:
                self._patched.add(name)
                watch(sys.modules[name])

    def random(self, *, seeds: bool = False, draws: bool = False) -> None:
        """Note that the tests seed ``random``, or the program draws from it, of which it has one of its own."""
        self._seeds, self._draws = self._seeds or seeds, self._draws or draws
        if self._seeds and self._draws:
            self._refused(["the tests seed the program's random numbers"])

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(arguments[0], str | bytes) and (path := self._files.inside(arguments[0])):
                self._refused([f"the tests open {path}"])
        elif event in _STARTS:
            self._refused([f"the tests use {event}"])
        elif event in _ENVIRONMENT and not arguments[0].startswith(b"PYTEST_"):
            self._refused(["the tests change the environment"])

    def _watch_monkeypatch(self, module: Any) -> None:
        self._after(module.MonkeyPatch, "setattr", lambda patch, result: self._patching(patch._setattr[-1][0]))
        self._after(module.MonkeyPatch, "delattr", lambda patch, result: self._patching(patch._setattr[-1][0]))
        self._after(module.MonkeyPatch, "setitem", lambda patch, result: self._patching(patch._setitem[-1][0]))

    def _watch_mock(self, module: Any) -> None:
        self._after(module._patch, "__enter__", lambda patch, result: self._patching(patch.target))
        self._after(module._patch_dict, "__enter__", lambda patch, result: self._patching(patch.in_dict))

    def _watch_random(self, module: Any) -> None:
        def seeded(patch: Any, result: Any) -> None:
            self.random(seeds=True)

        self._after(module, "seed", seeded)

    def _after(self, owner: Any, name: str, then: Callable[[Any, Any], None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = original(*args, **kwargs)
            then(args[0] if args else None, result)
            return result

        setattr(owner, name, wrapped)

    def _patching(self, target: Any) -> None:
        """Note what is changed under the program's feet: all but the tests' own modules and objects."""
        if target is sys.modules:
            self._refused(["the tests patch sys.modules"])
        kind = target if isinstance(target, type) else type(target)
        name = target.__name__ if isinstance(target, ModuleType) else kind.__module__
        if isinstance(target, ModuleType | type) and is_stdlib(str(name)):
            self._refused([f"the tests patch {name}"])
