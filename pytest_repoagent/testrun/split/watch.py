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
STARTS = "the tests use "
"""Begins the reason where tests start processes."""
_ENVIRONMENT = frozenset({"os.putenv", "os.unsetenv"})
_LOOK_AT_WARNINGS = frozenset({"_pytest.recwarn", "unittest.case"})


class Files(Protocol):
    """Who knows the program's files."""

    def inside(self, path: Any) -> str | None:
        """The program's file that a path names."""
        ...


class Watch:
    """Notes, once started, what the worker's process cannot see."""

    def __init__(self, files: Files, refused: Callable[[list[str]], None], stuck: Callable[[str], None]) -> None:
        """Make a watch that has not started.

        Args:
            files: who knows the program's files.
            refused: is told what a program may have brought about.
            stuck: is told what no program can bring about.
        """
        self._seeds = self._draws = False
        self._files = files
        self._refused = refused
        self._stuck = stuck
        self._patched: set[str] = set()
        self._folder = os.getcwd()

    def start(self) -> None:
        """Watch from now on, for as long as this process lives."""
        sys.addaudithook(self._audit)
        self.look()

    def look(self) -> None:
        """Watch the patching tools that are loaded by now, and where this process is."""
        if os.getcwd() != self._folder:
            self._stuck("the tests change the current folder")
        for name, watch in (
            ("warnings", self._watch_warnings),
            ("_pytest.logging", self._watch_logging),
            ("unittest._log", self._watch_assert_logs),
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
            self._stuck(f"{STARTS}{event}")
        elif event in _ENVIRONMENT and not arguments[0].startswith(b"PYTEST_"):
            self._stuck("the tests change the environment")

    def _watch_warnings(self, module: Any) -> None:
        def entered(patch: Any, result: Any) -> None:
            caller = str(sys._getframe(2).f_globals.get("__name__"))
            if caller in _LOOK_AT_WARNINGS or not (caller.startswith("_pytest.") or is_stdlib(caller)):
                self._stuck("the tests look at warnings")

        self._after(module.catch_warnings, "__enter__", entered)

    def _watch_logging(self, module: Any) -> None:
        self._after(module.LogCaptureFixture, "__init__", self._logs)

    def _watch_assert_logs(self, module: Any) -> None:
        self._after(module._AssertLogsContext, "__enter__", self._logs)

    def _logs(self, patch: Any, result: Any) -> None:
        self._stuck("the tests look at log messages")

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
            self._stuck("the tests patch sys.modules")
        kind = target if isinstance(target, type) else type(target)
        name = target.__name__ if isinstance(target, ModuleType) else kind.__module__
        if isinstance(target, ModuleType | type) and is_stdlib(str(name)):
            self._stuck(f"the tests patch {name}")
