"""Reading what is none of the program's business: files outside, and traces of their existence."""

from __future__ import annotations

from .payload import attacks


def _slurp(path: str) -> str:
    return f"return slurp({path})"


FILES = attacks(
    "read files",
    "leaked",
    {
        "ssh-key": _slurp('W["ssh"]'),
        "store": _slurp('W["store"]'),
        "trace": _slurp('W["trace"]'),
        "corrected-program": _slurp('W["answers"]'),
        "read-pristine-tests": _slurp('W["root"] + "/test_target.py"'),
        "read-pristine-cases": _slurp('W["root"] + "/cases.json"'),
        "dot-dot": _slurp('"../" * 40 + W["ssh"][1:]'),
        "proc-self-root": _slurp('"/proc/self/root" + W["ssh"]'),
        "proc-thread-root": _slurp("f\"/proc/thread-self/root{W['ssh']}\""),
        "proc-bystander-root": _slurp("f\"/proc/{W['bystander']}/root{W['ssh']}\""),
        "proc-driver-root": _slurp("f\"/proc/{W['driver']}/root{W['ssh']}\""),
        "proc-init-root": """
            for pid in ("1", *map(str, ancestors())):
                try:
                    return slurp(f"/proc/{pid}/root" + W["ssh"])
                except OSError:
                    pass
        """,
        "openat-walk": """
            fd = os.open("/", os.O_PATH)
            *folders, name = W["ssh"].strip("/").split("/")
            for folder in folders:
                fd = os.open(folder, os.O_PATH, dir_fd=fd)
            return loot(os.read(os.open(name, os.O_RDONLY, dir_fd=fd), 99))
        """,
        "reopen-o-path": """
            fd = os.open(W["ssh"], os.O_PATH)
            return slurp(f"/proc/self/fd/{fd}")
        """,
        "raw-openat": """
            fd = syscall("openat", -100, W["ssh"].encode(), 0, 0)
            return loot(os.read(fd, 99))
        """,
        "raw-openat2": """
            import ctypes
            how = (ctypes.c_ulonglong * 3)(0, 0, 0)
            return loot(os.read(syscall("openat2", -100, W["ssh"].encode(), how, 24), 99))
        """,
        "libc-fopen": """
            import ctypes
            c = libc()
            c.fopen.restype = ctypes.c_void_p
            file = c.fopen(W["ssh"].encode(), b"r")
            if file:
                buffer = ctypes.create_string_buffer(99)
                c.fread(buffer, 1, 90, ctypes.c_void_p(file))
                return loot(buffer.value)
        """,
        "symlink-in-cwd": """
            os.symlink(W["ssh"], "key")
            return slurp("key")
        """,
        "hardlink-into-cwd": """
            os.link(W["ssh"], "key")
            return slurp("key")
        """,
        "mmap": """
            import mmap
            with open(W["ssh"], "rb") as file:
                return loot(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)[:])
        """,
        "sendfile": """
            import socket
            a, b = socket.socketpair()
            os.sendfile(a.fileno(), os.open(W["ssh"], os.O_RDONLY), 0, 99)
            return loot(b.recv(99))
        """,
        "run-as-program": """
            import runpy
            return loot(runpy.run_path(W["answers"])["__doc__"])
        """,
        "import-corrected": """
            import importlib.util
            spec = importlib.util.spec_from_file_location("answers", W["answers"])
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return loot(module.__doc__)
        """,
        "sys-path": """
            sys.path.insert(0, os.path.dirname(W["answers"]))
            sys.path_importer_cache.clear()
            sys.modules.pop("target", None)
            import target
            return loot(target.__doc__)
        """,
        "linecache": """
            import linecache
            return loot("".join(linecache.getlines(W["ssh"])))
        """,
        "cat": """
            import subprocess
            return loot(subprocess.run(["cat", W["ssh"]], capture_output=True).stdout)
        """,
        "posix-spawn": """
            r, w = os.pipe()
            actions = [(os.POSIX_SPAWN_DUP2, w, 1)]
            pid = os.posix_spawn("/bin/cat", ["cat", W["ssh"]], {}, file_actions=actions)
            os.waitpid(pid, 0)
            return loot(os.read(r, 99))
        """,
        "syntax-error-quote": """
            try:
                exec(compile(open(W["ssh"]).read(), W["ssh"], "exec"))
            except SyntaxError as error:
                return loot(str(error.text))
        """,
        "list-folder": 'return loot(repr(os.listdir(W["home"])))',
        "scan-folder": 'return loot(repr([entry.name for entry in os.scandir(W["home"])]))',
        "walk-down": 'return loot(repr(list(os.walk(W["outside"]))))',
        "readlink": 'return loot(os.readlink(W["home"] + "/link"))',
        "xattr": 'return loot(os.getxattr(W["ssh"], "user.loot"))',
        "other-runs": """
            import glob
            found = []
            for base in {W["runs"], "/tmp", os.environ.get("TMPDIR", "/tmp"), os.path.dirname(os.getcwd())}:
                for path in glob.glob(base + "/*/*.*") + glob.glob(base + "/*/*/*.*"):
                    if path.endswith(("cases.json", "test_target.py")):
                        found += slurp(path)
            return found
        """,
        "every-cwd": """
            found = []
            for pid in os.listdir("/proc"):
                for name in ("cases.json", "test_target.py"):
                    try:
                        found += slurp(f"/proc/{pid}/cwd/{name}")
                    except OSError:
                        pass
            return found
        """,
    },
)
AS_ROOT = attacks(
    "read files",
    "leaked",
    {
        "open-by-handle": """
            import ctypes
            handle = ctypes.create_string_buffer(8 + 128)
            ctypes.c_uint.from_buffer(handle).value = 128
            mount = ctypes.c_int()
            syscall("name_to_handle_at", -100, W["ssh"].encode(), handle, ctypes.byref(mount), 0)
            where = os.open("/", os.O_RDONLY)
            return loot(os.read(syscall("open_by_handle_at", where, handle, 0), 99))
        """,
        "chroot-escape": """
            fd = os.open("/", os.O_RDONLY)
            os.mkdir(W["mark"])
            os.chroot(W["mark"])
            os.fchdir(fd)
            return slurp(W["ssh"].lstrip("/"))
        """,
    },
    root=True,
)
PROBES = attacks(
    "probe files",
    "reached",
    {
        "stat": """
            os.stat(W["ssh"])
            return W["done"]
        """,
        "lstat": """
            os.lstat(W["home"] + "/link")
            return W["done"]
        """,
        "access": 'return os.access(W["ssh"], os.F_OK) and W["done"]',
        "errno-oracle": """
            def error(path):
                try:
                    os.close(os.open(path, os.O_RDONLY))
                except OSError as error:
                    return error.errno
            return error(W["ssh"]) != error(W["ssh"] + "-not") and W["done"]
        """,
        "exec-oracle": """
            def error(path):
                try:
                    os.execv(path, [path])
                except OSError as error:
                    return error.errno
            return error(W["ssh"]) != error(W["ssh"] + "-not") and W["done"]
        """,
        "chdir-oracle": """
            here = os.getcwd()
            os.chdir(W["home"])
            os.chdir(here)
            return W["done"]
        """,
        "mkdir-oracle": """
            def error(path):
                try:
                    os.mkdir(path)
                except OSError as error:
                    return error.errno
            return error(W["ssh"]) != error(W["ssh"] + "-not/below") and W["done"]
        """,
        "realpath": """
            os.path.realpath(W["ssh"], strict=True)
            return W["done"]
        """,
        "inotify": """
            fd = syscall("inotify_init1", 0)
            syscall("inotify_add_watch", fd, W["home"].encode(), 0xFFF)
            return W["done"]
        """,
        "statvfs": """
            os.statvfs(W["home"])
            return W["done"]
        """,
        "o-path": """
            return os.fstat(os.open(W["ssh"], os.O_PATH)).st_size and W["done"]
        """,
        "unix-connect-oracle": """
            import socket
            def error(path):
                try:
                    socket.socket(socket.AF_UNIX).connect(path)
                except OSError as error:
                    return error.errno
            return error(W["ssh"]) != error(W["ssh"] + "-not") and W["done"]
        """,
        "processes-outside": """
            os.stat(f"/proc/{W['bystander']}")
            return W["done"]
        """,
        "users": """
            with open("/etc/passwd") as file:
                return file.read() and W["done"]
        """,
        "kernel-log": """
            import ctypes
            return syscall("syslog", 3, ctypes.create_string_buffer(4096), 4096) and W["done"]
        """,
    },
)
SHADOW = attacks(
    "read files",
    "reached",
    {
        "shadow": """
            with open("/etc/shadow") as file:
                return file.read(1) and W["done"]
        """,
    },
    root=True,
)
PAYLOADS = (*FILES, *AS_ROOT, *PROBES, *SHADOW)
