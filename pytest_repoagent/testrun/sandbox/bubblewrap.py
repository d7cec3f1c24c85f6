"""Namespaces by bubblewrap: a process sees a file system, processes and a network of its own. See bwrap(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

NOBODY = "65534"
_NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"),
    *("--cap-drop", "ALL", "--new-session"),
)
_DEVICES = ("null", "zero", "urandom")
_LIBRARIES = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
)
_MAX_LINKS = 40
_TIMEOUT_S = 60


def command(read: Sequence[str], write: Sequence[str], tmp_bytes: int) -> list[str]:
    """What to put before a command so that it runs as nobody, in namespaces of its own.

    It sees the system's libraries and Python interpreters, ``/proc`` of its own processes, three devices and an empty
    ``/tmp``; nothing of it can be changed but what is in ``/tmp`` and ``write``. It keeps open file descriptors.

    Args:
        read: absolute paths that it sees, too, wherever symbolic links on the way lead to.
        write: absolute paths that it can change; they win over ``read``.
        tmp_bytes: the size of ``/tmp``, which is in memory and gone with the command.
    """
    links: dict[str, str] = {}
    system = filter(os.path.exists, [*_LIBRARIES, *map(str, Path("/usr/bin").glob("python3*"))])
    binds = {_resolve(path, links): "--ro-bind" for path in (*system, *read)}
    binds |= {_resolve(path, links): "--bind" for path in write}
    return [
        *("bwrap", *_NAMESPACES, "--proc", "/proc", "--tmpfs", "/dev"),
        *(word for name in _DEVICES for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")),
        *("--symlink", "/proc/self/fd", "/dev/fd", "--size", str(tmp_bytes), "--perms", "0700", "--tmpfs", "/tmp"),
        *(word for path in _outermost(binds) for word in (binds[path], path, path)),
        *(word for link, target in links.items() if not _below(link, binds) for word in ("--symlink", target, link)),
        # Root's settings of the kernel are in /proc, and here root is who ``nobody`` is outside.
        *("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/", "--"),
    ]


def problem() -> str | None:
    """Why bubblewrap does not work here, in a sentence; None where it does. It is tried on this interpreter."""
    if shutil.which("bwrap") is None:
        return "Bubblewrap (`bwrap`) is not installed."
    prefixes = {sys.prefix, sys.base_prefix, os.path.realpath(sys.executable)} - {"/", "/usr"}
    words = [*command(sorted(prefixes), [], 1 << 20), sys.executable, "-I", "-S", "-c", ""]
    try:
        tried = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"Bubblewrap did not end within {_TIMEOUT_S} s."
    if tried.returncode == 0:
        return None
    said = tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"]
    return f"Bubblewrap fails: {said[-1]}."


def remedy(trouble: str) -> str:
    """What to do about what :func:`problem` found."""
    if "not installed" in trouble or "nknown option" in trouble:
        return "Install version 0.7 or later: `apt install bubblewrap`, or the like."
    return (
        "Let unprivileged users make user namespaces: on Ubuntu 23.10 or later by "
        "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in a container by its runtime's options."
    )


def _resolve(path: str, links: dict[str, str]) -> str:
    """The path without symbolic links; those on the way go into ``links``, link -> target."""
    done, ahead = Path("/"), list(reversed(Path(path).parts))
    followed = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            done = done.parent
            continue
        done /= part
        if done.is_symlink():
            followed += 1
            if followed > _MAX_LINKS:
                raise OSError(f"{path} has too many symbolic links")
            target = done.readlink()
            links[str(done)] = str(target)
            ahead += reversed(target.parts)
            done = done.parent
    return str(done)


def _outermost(binds: dict[str, str]) -> Iterator[str]:
    """The paths without those that a path above shows in the same way, outer ones first."""
    for path in sorted(binds):
        above = [bind for bind in binds if bind != path and PurePosixPath(path).is_relative_to(bind)]
        if not above or binds[max(above, key=len)] != binds[path]:
            yield path


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
