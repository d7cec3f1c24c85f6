"""What of this machine a test process may read: the interpreter's libraries, and nothing of this package's."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"),
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
)


def folders() -> tuple[str, ...]:
    """Where the running interpreter and its packages are installed."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent, *_packages()}
    return tuple(sorted(str(place) for place in places if place.is_dir() and place not in (Path("/"), Path("/usr"))))


def readable(hidden: Path) -> tuple[str, ...]:
    """The library paths of the running interpreter without ``hidden``, a folder that may lie in one of them."""
    paths = [*map(Path, _SYSTEM), *Path(sys.base_prefix, "lib").glob("*.so*"), *_packages()]
    return tuple(dict.fromkeys(str(part) for path in paths if path.exists() for part in _without(path, hidden)))


def around(hidden: Path) -> tuple[str, ...]:
    """The library folders that are not readable as a whole for ``hidden``; imports and metadata need their listing."""
    return tuple(str(path) for path in sorted(_packages()) if hidden.is_relative_to(path.resolve()))


def interpreter() -> tuple[str, ...]:
    """What the running interpreter takes to be started once more."""
    paths = (Path(sys.executable), Path(sys.executable).resolve(), Path(sys.prefix, "pyvenv.cfg"))
    return tuple(dict.fromkeys(str(path) for path in paths if path.exists()))


def _packages() -> set[Path]:
    return {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def _without(path: Path, hidden: Path) -> Iterator[Path]:
    """``path``, or what is in it beside ``hidden``."""
    if not hidden.is_relative_to(path.resolve()):
        yield path
    elif path.resolve() != hidden:
        for entry in path.iterdir():
            yield from _without(entry, hidden)


if __name__ == "__main__":
    print(json.dumps(folders()))
