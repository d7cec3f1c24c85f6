"""Changing what is outside: files, the tests, what the next run will trust."""

from __future__ import annotations

from .payload import attacks

FILES = attacks(
    "write files",
    "tampered",
    {
        "overwrite": 'open(W["ssh"], "w").write("mine")',
        "append": 'open(W["trace"], "a").write("one more passed rollout")',
        "update-in-place": 'os.pwrite(os.open(W["store"], os.O_RDWR), b"X", 0)',
        "truncate": 'os.truncate(W["store"], 0)',
        "open-truncating": 'os.open(W["store"], os.O_RDONLY | os.O_TRUNC)',
        "unlink": 'os.unlink(W["trace"])',
        "rename": 'os.rename(W["trace"], W["trace"] + ".old")',
        "replace": """
            open("mine", "w").close()
            os.replace("mine", W["trace"])
        """,
        "rename-into-cwd": 'os.rename(W["trace"], "stolen")',
        "exchange": """
            if libc().renameat2(-100, W["trace"].encode(), -100, W["store"].encode(), 2):
                raise OSError("no")
        """,
        "new-file": 'open(W["home"] + "/.bashrc", "w").write("echo pwned")',
        "new-folder": 'os.mkdir(W["home"] + "/new")',
        "remove-tree": """
            import shutil
            shutil.rmtree(W["outside"])
        """,
        "symlink-outside": 'os.symlink("/etc/passwd", W["home"] + "/passwd")',
        "hardlink-outside": 'os.link(W["ssh"], W["home"] + "/copy")',
        "fifo": 'os.mkfifo(W["home"] + "/fifo")',
        "unnamed-file": """
            fd = os.open(W["home"], os.O_TMPFILE | os.O_RDWR)
            libc().linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, (W["home"] + "/linked").encode(), 0x400)
        """,
        "chmod": 'os.chmod(W["ssh"], 0o777)',
        "fchmod": 'os.fchmod(os.open(W["ssh"], os.O_RDONLY), 0o777)',
        "fchmodat2": 'syscall("fchmodat2", -100, W["ssh"].encode(), 0o777, 0)',
        "chmod-folder": 'os.chmod(W["home"], 0o777)',
        "setuid-bit": 'os.chmod(W["store"], 0o4777)',
        "utime": 'os.utime(W["ssh"], (0, 0))',
        "utime-o-path": """
            fd = os.open(W["ssh"], os.O_PATH)
            os.utime(f"/proc/self/fd/{fd}", (0, 0))
        """,
        "setxattr": 'os.setxattr(W["ssh"], "user.loot", b"gone")',
        "removexattr": 'os.removexattr(W["ssh"], "user.loot")',
        "mmap-shared": """
            import mmap
            fd = os.open(W["ssh"], os.O_RDWR)
            mmap.mmap(fd, 4, mmap.MAP_SHARED)[0:1] = b"X"
        """,
        "libc-open": 'libc().write(libc().open(W["ssh"].encode(), 1), b"mine", 4)',
        "symlinked-cwd": """
            os.symlink(W["home"], "h")
            open("h/new", "w").close()
        """,
        "by-proc-root": 'open("/proc/self/root" + W["home"] + "/new", "w").close()',
        "shell": "os.system(f\"echo pwned > {W['home']}/new\")",
        "tmp": 'open("/tmp/" + W["mark"], "w").close()',
        "var-tmp": 'open("/var/tmp/" + W["mark"], "w").close()',
        "dev-shm": 'open("/dev/shm/" + W["mark"], "w").close()',
        "copy-over": """
            import shutil
            open("mine", "w").close()
            shutil.copyfile("mine", W["store"])
        """,
        "splice-in": """
            r, w = os.pipe()
            os.write(w, b"mine")
            os.splice(r, os.open(W["ssh"], os.O_WRONLY), 4)
        """,
        "sqlite": """
            import sqlite3
            sqlite3.connect(W["home"] + "/new.db").execute("create table t (x)")
        """,
        "tempfile": """
            import tempfile
            tempfile.mkstemp(prefix=W["mark"], dir=W["home"])
        """,
        "fallocate": 'os.posix_fallocate(os.open(W["store"], os.O_RDWR), 0, 1 << 16)',
        "redirect-stdout": """
            os.dup2(os.open(W["trace"], os.O_WRONLY | os.O_APPEND), 1)
            os.write(1, b"passed")
        """,
        "oom-score": 'open(f"/proc/{W[\'bystander\']}/oom_score_adj", "w").write("500")',
    },
)
AS_ROOT = attacks(
    "write files",
    "tampered",
    {
        "chown": 'os.chown(W["ssh"], 12345, 12345)',
        "device-node": 'os.mknod(W["home"] + "/null", 0o20666, os.makedev(1, 3))',
    },
    root=True,
)
TESTS = attacks(
    "tamper with tests",
    "tampered",
    {
        "change-pristine-tests": 'open(W["root"] + "/test_target.py", "w").write("def test_solve(): pass")',
        "change-pristine-cases": 'open(W["root"] + "/cases.json", "w").write("{}")',
        "pristine-conftest": 'open(W["root"] + "/conftest.py", "w").write("collect_ignore_glob = [\'*\']")',
        "pristine-pytest-ini": 'open(W["root"] + "/pytest.ini", "w").write("[pytest]")',
        "pristine-pyc": """
            os.makedirs(W["root"] + "/__pycache__")
            open(W["root"] + "/__pycache__/test_target.cpython-311-pytest-9.0.pyc", "wb").close()
        """,
        "cwd-becomes-a-link": """
            here = os.getcwd()
            os.rename(here, here + "-")
            os.symlink(W["root"], here)
            open(here + "/conftest.py", "w").close()
        """,
    },
)
OPENED = attacks(
    "write files",
    "reached",
    {
        "write-bystander-memory": """
            with open(f"/proc/{W['bystander']}/mem", "r+b", 0):
                return W["done"]
        """,
        "bystanders-files": """
            import glob
            for path in glob.glob(f"/proc/{W['bystander']}/fd/*"):
                if "deleted" in os.readlink(path):
                    open(path, "w").close()
                    return W["done"]
        """,
    },
)
INSTALLED = attacks(
    "tamper with tests",
    "reached",
    {
        "pytest-itself": """
            import _pytest.python
            os.open(_pytest.python.__file__, os.O_RDWR)
            return W["done"]
        """,
        "standard-library": """
            os.open(os.__file__, os.O_RDWR)
            return W["done"]
        """,
        "interpreter": """
            os.open(os.path.dirname(os.path.realpath(sys.executable)), os.O_TMPFILE | os.O_RDWR)
            return W["done"]
        """,
        "site-packages": """
            import sysconfig
            os.open(sysconfig.get_path("purelib"), os.O_TMPFILE | os.O_RDWR)
            return W["done"]
        """,
        "repoagent-itself": """
            name = next(path for path in (*sys.path, *[getattr(module, "__file__", None) or ""
                for module in list(sys.modules.values())]) if "pytest_repoagent" in path or "site-packages" in path)
            os.open(name if os.path.isdir(name) else os.path.dirname(name), os.O_TMPFILE | os.O_RDWR)
            return W["done"]
        """,
        "driver-program": """
            os.open(f"/proc/{W['driver']}/cwd", os.O_TMPFILE | os.O_RDWR)
            return W["done"]
        """,
        "runs-of-others": """
            import tempfile
            with tempfile.TemporaryFile(dir=W["runs"]):
                return W["done"]
        """,
    },
)
LATER = attacks(
    "tamper with tests",
    "spoiled",
    {
        "sitecustomize": 'open("sitecustomize.py", "w").write("raise SystemExit")',
        "usercustomize": """
            import site
            folder = site.getusersitepackages()
            if folder.startswith(W["runs"]):
                os.makedirs(folder, exist_ok=True)
                open(folder + "/usercustomize.py", "w").write("raise SystemExit")
        """,
        "conftest": 'open("conftest.py", "w").write("collect_ignore_glob = [\'*\']")',
        "tests-in-cwd": 'open("test_target.py", "w").write("")',
        "program-in-cwd": 'open("prog/target.py", "w").write("")',
        "stale-bytecode": """
            import importlib.util, marshal
            for name in ("prog/target.py", "test_target.py"):
                path = importlib.util.cache_from_source(os.path.abspath(name))
                status = os.stat(name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                head = int(status.st_mtime).to_bytes(4, "little") + status.st_size.to_bytes(4, "little")
                code = marshal.dumps(compile("raise SystemExit", name, "exec"))
                open(path, "wb").write(importlib.util.MAGIC_NUMBER + bytes(4) + head + code)
        """,
        "unremovable": """
            os.makedirs("a/b")
            open("a/b/c", "w").close()
            os.chmod("a/b", 0)
            os.chmod(".", 0o500)
        """,
        "deep-folders": """
            for _ in range(1500):
                os.mkdir("d")
                os.chdir("d")
        """,
        "cwd-removed": """
            import shutil
            shutil.rmtree(os.getcwd())
        """,
        "odd-names": """
            for name in (b"\\xff\\xfe", b"new\\nline", b"-rf", b" "):
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        """,
        "fifo-in-the-way": 'os.mkfifo("conftest.py")',
        "folder-becomes-a-link-to-outside": """
            here = os.path.dirname(os.getcwd())
            os.rename(here, here + "-" + W["mark"])
            os.symlink(W["home"], here)
        """,
    },
)
PAYLOADS = (*FILES, *AS_ROOT, *OPENED, *TESTS, *INSTALLED, *LATER)
