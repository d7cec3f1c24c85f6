"""Leaving something for the next run to trip over."""

from __future__ import annotations

from .payload import Payload, attacks

MINE = attacks(
    "spoil the next run",
    "spoiled",
    {
        "patched-modules": """
            import json, re, pathlib, socket, builtins
            json.loads = json.dumps = re.compile = socket.socket = None
            for name in ("open", "len", "repr", "isinstance", "Exception"):
                setattr(builtins, name, None)
            sys.modules.clear()
        """,
        "poisoned-path": """
            sys.path[:] = ["/nonexistent"]
            sys.meta_path.clear()
            sys.path_hooks.clear()
            sys.path_importer_cache.clear()
        """,
        "emptied-environment": """
            os.environ.clear()
            os.environ.update(PYTEST_ADDOPTS="--collect-only", PYTHONPATH="/nonexistent", PYTHONSTARTUP="/x")
        """,
        "cwd-and-umask": """
            os.chdir("/")
            os.umask(0o777)
        """,
        "descriptor-flags": """
            import fcntl
            for fd in range(256):
                try:
                    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND | os.O_ASYNC | os.O_DIRECT)
                    fcntl.fcntl(fd, 1031, 4096)
                    os.lseek(fd, 0, 0)
                except OSError:
                    pass
        """,
        "descriptor-locks": """
            import fcntl
            for fd in range(256):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    pass
        """,
        "sockets-shut": """
            import socket
            for fd in range(256):
                try:
                    socket.socket(fileno=os.dup(fd)).shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        """,
        "socket-options": """
            import socket
            for fd in range(256):
                try:
                    peer = socket.socket(fileno=os.dup(fd))
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, b"\\0" * 8 + b"\\1" + b"\\0" * 7)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\1\\0\\0\\0")
                except OSError:
                    pass
        """,
        "descriptors-over-sockets": """
            import array, socket
            for fd in range(256):
                try:
                    socket.socket(fileno=os.dup(fd)).sendmsg([b"x"], [(1, 1, array.array("i", [0, 1, 2] * 80))])
                except OSError:
                    pass
        """,
        "bytes-into-every-descriptor": """
            for fd in range(256):
                try:
                    os.set_blocking(fd, False)
                    os.write(fd, b'{"pid": 1}\\n["failed", "x"]\\n' + bytes(7) + b"\\x02{}")
                except OSError:
                    pass
        """,
        "truncated-descriptors": """
            import stat
            for fd in range(256):
                try:
                    kind = os.fstat(fd).st_mode
                    os.ftruncate(fd, 0)
                    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                        os.fchmod(fd, 0)
                except OSError:
                    pass
        """,
        "signals": """
            import signal
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        """,
        "limits-lowered": """
            import resource
            for which in range(16):
                try:
                    resource.setrlimit(which, (0, 0))
                except (OSError, ValueError):
                    pass
        """,
        "parents-limits-lowered": """
            import resource
            for pid in [os.getppid(), *ancestors()]:
                resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))
        """,
        "interned": """
            import ctypes
            name = ctypes.py_object(-5)
            ctypes.memset(id(-5) + 24, 1, 4)
        """,
        "shared-mappings": """
            import ctypes
            with open("/proc/self/maps") as maps:
                for line in maps:
                    if " rw-s " in line:
                        first, last = (int(x, 16) for x in line.split()[0].split("-"))
                        ctypes.memset(first, 0, last - first)
        """,
        "temporary-files": """
            for folder in (os.getcwd(), os.path.dirname(os.getcwd()), W["runs"]):
                for name in ("conftest.py", "pytest.ini", "prog.py", "json.py", "1", "run"):
                    try:
                        with open(folder + "/" + name, "x") as file:
                            file.write("raise SystemExit")
                    except OSError:
                        pass
        """,
        "hash-seed": """
            import random
            random.seed(0)
            random.random = lambda: 0
        """,
        "threads-left": """
            import threading, time
            def meddle():
                while True:
                    time.sleep(0.001)
                    for fd in range(3, 20):
                        try:
                            os.write(fd, b"\\0\\0\\0\\2[]")
                        except OSError:
                            pass
            threading.Thread(target=meddle, daemon=True).start()
        """,
    },
)
LAYOUTS = (
    Payload(
        "star-import-takes-over",
        "change the judge",
        "cheated",
        """
KEPT = []
class Json:
    def loads(self, text):
        import json
        KEPT.append(json.loads(text))
        return KEPT[0]
json = Json()
__all__ = ["json", "feed", "solve", "tally", "walk"]
def number():
    return int(KEPT[0]["cases"][0][1].partition("-")[2])
def solve(x): return f"{x * x}-{number()}"
def tally(items):
    items.sort()
    return 6 * number()
def walk(n):
    for i in range(n):
        yield i * number()
""",
        layout="star",
    ),
    Payload(
        "star-import-brings-the-cases",
        "change the judge",
        "cheated",
        """
KEYS = []
class There:
    def with_name(self, name): return self
    def read_text(self): return '{"cases": [[0, null], [1, null], [2, null], [3, null], [4, null]]}'
def Path(*_): return There()
__all__ = ["Path", "feed", "solve", "tally", "walk"]
def feed(f):
    KEYS.append(f(0))
    return 20 + KEYS[0]
def tally(items):
    items.sort()
    return 6 * KEYS[0]
def walk(n):
    for i in range(n):
        yield i * KEYS[0]
""",
        layout="star",
    ),
    Payload(
        "shadowed-library",
        "change the judge",
        "cheated",
        """
def solve(x): return ""
def tally(items):
    items.sort()
    return 0
def walk(n): return iter([0, 0, 0])
""",
        files={"prog/statistics.py": "def median_low(*_): return 0\n"},
        layout="path",
    ),
)
PAYLOADS = (*MINE, *LAYOUTS)
