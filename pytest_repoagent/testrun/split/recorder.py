"""What a trusted program does that does not work in a process of its own, or not in the strictest sandbox."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

LOOKS_FOR = "looks for "
DRAWS = "draws random numbers"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LIBRARIES = (f"{sys.prefix}/", f"{sys.base_prefix}/", "/usr/", "/lib", "/dev/", "/etc/", "/proc/self/", "/proc/stat")
_FORBIDDEN = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chdir"}
    | {"os.fork", "os.forkpty", "os.exec", "os.system", "os.posix_spawn", "os.spawn", "subprocess.Popen", "os.kill"}
    | {"os.putenv", "os.unsetenv", "socket.__new__"}
)
# Calls whose effect the tests may see in their own process.
_EFFECTS = (("warnings", "warn", "the program warns"), ("logging", "Logger.callHandlers", "the program logs"))


def record_all(notes: list[str], work: str) -> None:
    """Add to ``notes``, from now on, what the program does.

    Whether it matters that it looks for a file that is not there (``LOOKS_FOR`` and the path relative to ``work``), or
    may draw random numbers (``DRAWS``), is known where the tests are.
    """
    inside = work + "/"
    sys.modules.pop("random", None)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if arguments[2] & _WRITING:
                notes.append(f"the program opens {path.removeprefix(inside)} for writing")
            elif not path.startswith((inside, *_LIBRARIES)) and os.path.exists(path):
                notes.append(f"the program reads {path}")
            elif path.startswith(inside) and not os.path.exists(path):
                notes.append(LOOKS_FOR + path.removeprefix(inside))
        elif event in _FORBIDDEN:
            notes.append(f"the program uses {event}")
        elif event == "import" and arguments[0] == "random":
            notes.append(DRAWS)

    for module, path, note in _EFFECTS:
        owner = importlib.import_module(module)
        *parts, name = path.split(".")
        for part in parts:
            owner = getattr(owner, part)
        setattr(owner, name, _noting(getattr(owner, name), notes, note))
    sys.meta_path.append(_Missing(notes))
    sys.addaudithook(audit)


class _Missing:
    """Last in line: nobody has found the module."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        self._notes.append(LOOKS_FOR + name.replace(".", "/") + ".py")


def _noting(function: Callable[..., Any], notes: list[str], note: str) -> Callable[..., Any]:
    @wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        notes.append(note)
        return function(*args, **kwargs)

    return noting
