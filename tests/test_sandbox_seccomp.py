from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_kit import BOTH, LIMITS, SECCOMP, Place, needs_landlock, needs_seccomp

pytestmark = needs_seccomp

# What it does -> how, what it ends with behind the filter, and without it: None where that depends on the user.
STOPPED: dict[str, tuple[str, str, str | None]] = {
    "make a file": ("open('new', 'w')", "EACCES", "done"),
    "append": ("open('mine', 'a')", "EACCES", "done"),
    "empty a file": ("os.truncate('mine', 0)", "EPERM", "done"),
    "make a folder": ("os.mkdir('new')", "EPERM", "done"),
    "remove": ("os.remove('mine')", "EPERM", "done"),
    "rename": ("os.rename('mine', 'new')", "EPERM", "done"),
    "link": ("os.link('mine', 'new')", "EPERM", "done"),
    "make a pipe with a name": ("os.mkfifo('new')", "EPERM", "done"),
    "change a mode": ("os.chmod('mine', 0o777)", "EPERM", "done"),
    "change the mode of an open file": ("os.fchmod(os.open('mine', os.O_RDONLY), 0o777)", "EPERM", "done"),
    "change times": ("os.utime('mine', (1, 1))", "EPERM", "done"),
    "change an attribute": ("os.setxattr('mine', 'user.x', b'')", "ENOTSUP", None),
    "fork": ("os.fork() or os._exit(0)", "EPERM", "done"),
    "spawn": ("os.posix_spawn('/bin/true', ['true'], {})", "EPERM", "done"),
    "execute": ("os.execv('/bin/true', ['true'])", "EPERM", ""),
    "lead a session": ("os.setsid()", "EPERM", "done"),
    "use TCP": ("socket.socket()", "EPERM", "done"),
    "use UDP": ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)", "EPERM", None),
    "use unix sockets": ("socket.socket(socket.AF_UNIX)", "EPERM", "done"),
    "use netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EPERM", "done"),
    "see packets": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "EPERM", None),
    "send datagrams": ("socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", "EPERM", "done"),
    "pass file descriptors": ("a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0])", "EPERM", "done"),
    "signal the parent": ("os.kill(parent, 0)", "EPERM", "done"),
    "signal everybody": ("os.kill(-1, 0)", "EPERM", "done"),
    "signal the group": ("os.kill(0, 0)", "EPERM", "done"),
    "hold the parent": ("os.pidfd_open(parent)", "EPERM", "done"),
    "make a file in memory": ("os.memfd_create('x')", "EPERM", "done"),
    "be nice": ("os.nice(1)", "EPERM", "done"),
    "choose a processor": ("os.sched_setaffinity(0, os.sched_getaffinity(0))", "EPERM", "done"),
    "set a limit": (
        "try: resource.prlimit(0, resource.RLIMIT_NOFILE, (9, 9))\n"
        "except PermissionError: raise\nexcept OSError as e: raise PermissionError(1, '') from e",
        "EPERM",
        "done",
    ),
    "type into a terminal": ("import fcntl; fcntl.ioctl(0, 0x5412, b'x')", "ENOTSUP", "ENOTTY"),
    "outlive the parent": ("assert ctypes.CDLL(None).prctl(1, 0) == 0", "AssertionError: ", "done"),
    "be dumpable": ("assert ctypes.CDLL(None).prctl(4, 1) == 0", "AssertionError: ", "done"),
    "be traceable": ("assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0", "AssertionError: ", "done"),
    "change personality": ("assert ctypes.CDLL(None).personality(0x40000) >= 0", "AssertionError: ", "done"),
    "become another user": ("os.setuid(os.getuid())", "EPERM", "done"),
    "share memory": ("assert ctypes.CDLL(None).shmctl(0, 14, bytes(200)) >= 0", "AssertionError: ", "done"),
    "make namespaces": ("assert ctypes.CDLL(None).unshare(0) == 0", "AssertionError: ", "done"),
    "change the root": ("os.chroot('/')", "EPERM", None),
    "make a pipe of packets": ("os.pipe2(os.O_DIRECT)", "EPERM", "done"),
}

WORKS = {
    "a thread": "t = threading.Thread(target=len, args=('',)); t.start(); t.join()",
    "a thread pool": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(len, ["a"] * 100)) == [1] * 100
""",
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(0.001))",
    "signals to oneself": """
signal.signal(signal.SIGUSR1, lambda *a: None)
os.kill(os.getpid(), signal.SIGUSR1)
signal.raise_signal(signal.SIGUSR1)
""",
    "timers": """
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
""",
    "memory": "x = bytearray(50_000_000); y = mmap.mmap(-1, 1 << 20); y.close()",
    "sockets in a pair": """
a, b = socket.socketpair()
a.sendall(b"x")
assert b.recv(1) == b"x"
a.shutdown(socket.SHUT_WR)
assert socket.socket(fileno=os.dup(b.fileno())).recv(1) == b""
""",
    "pipes": """
r, w = os.pipe()
os.set_blocking(w, False)
os.write(w, b"x")
select.select([r], [w], [], 0)
assert os.read(r, 1) == b"x"
""",
    "randomness": "import random; os.urandom(8); random.SystemRandom().random()",
    "time": "time.sleep(0.001); time.time(); time.monotonic(); time.process_time(); time.localtime()",
    "imports": "import decimal, json, sqlite3, heapq, statistics",
    "reading": "open(os.__file__).read(); os.listdir('/'); os.stat('/'); os.getcwd(); os.path.realpath('/lib')",
    "asking for a terminal": "assert not os.isatty(0) and not open('/dev/null').isatty()",
    "looking around": "resource.getrlimit(resource.RLIMIT_CPU); os.getpid(); os.uname(); os.cpu_count()",
    "names of threads": "assert ctypes.CDLL(None).prctl(15, b'x', 0, 0, 0) == 0",
    "calls from C": "assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)() == 7",
}

FILE_WORK = """
import fcntl, sqlite3
from pathlib import Path
Path("a").write_text("a")
os.mkdir("d")
os.rename("a", "d/a")
os.symlink("d/a", "l")
os.replace("d/a", "d/b")
os.link("d/b", "h")
os.makedirs("x/y/z")
with open("big", "wb") as file:
    file.truncate(100)
    os.fsync(file.fileno())
with tempfile.TemporaryDirectory(dir=".") as folder:
    Path(folder, "f").touch()
with tempfile.NamedTemporaryFile(dir=".") as file:
    file.write(b"x")
shutil.copyfile("big", "big2")
with open("lock", "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    fcntl.lockf(file, fcntl.LOCK_EX)
shutil.rmtree("x")
os.umask(0o22)
db = sqlite3.connect("db")
db.execute("create table t (x)")
db.commit()
"""

PROGRAMS = """
import subprocess
assert subprocess.run([sys.executable, "-I", "-S", "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
assert subprocess.run("echo 1 | cat", shell=True, capture_output=True).stdout == b"1\\n"
assert subprocess.run(["true"], start_new_session=True).returncode == 0
pid = os.fork()
if not pid:
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
"""
STOP_A_CHILD = """
child = os.fork()
if not child:
    time.sleep(60)
os.kill(child, signal.SIGTERM)
os.wait()
"""

TESTS = """
import asyncio, logging, os, subprocess, threading, warnings
import pytest

@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")

def test_files(tmp_path, shared):
    (tmp_path / "a").write_text("a")
    (shared / "b").mkdir()

@pytest.mark.parametrize("x", [1, 2])
def test_output(capsys, x):
    print(x)
    assert capsys.readouterr().out == f"{x}\\n"

def test_descriptors(capfd):
    os.write(1, b"x")
    assert capfd.readouterr().out == "x"

def test_log(caplog):
    logging.error("no")
    assert caplog.messages == ["no"]

def test_patch(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A", "1")

def test_threads():
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()

def test_loop():
    asyncio.run(asyncio.sleep(0))

def test_no_programs():
    with pytest.raises(PermissionError):
        subprocess.run(["true"])

def test_wrong():
    assert [1, 2] == [1, 3]
"""
SESSION = """
sys.path[:0] = {path!r}
os.environ.update(TMPDIR={folder!r}, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
import pytest
counts = {{}}
class Count:
    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            counts[report.outcome] = counts.get(report.outcome, 0) + 1
options = ["-p", "no:cacheprovider", "--rootdir=" + os.getcwd(), "--confcutdir=" + os.getcwd()]
code = pytest.main([*options, "test_all.py"], [Count()])
sys.stdout.flush()
assert code == 1, code
assert counts == {{"passed": 9, "failed": 1}}, counts
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file in it."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", STOPPED)
def test_pure_stops(name: str, work: Path) -> None:
    code, stopped, free = STOPPED[name]
    before = (work / "mine").stat()
    assert Place(SECCOMP).said(code, forked=True) == stopped
    assert (work / "mine").stat() == before
    assert list(work.iterdir()) == [work / "mine"]
    if free is not None:
        assert Place().said(code, forked=True) == free


@pytest.mark.parametrize("name", WORKS)
def test_pure_lets_programs_compute(name: str) -> None:
    assert Place(SECCOMP).said(WORKS[name]) == "done"


@needs_landlock
def test_files_lets_tests_use_files(work: Path, tmp_path: Path) -> None:
    assert Place(BOTH, "files", write=[str(work)]).said(FILE_WORK) == "done"
    assert Place(BOTH, "files", write=[str(work)]).said("open('../outside', 'w')") == "EACCES"
    assert not (tmp_path / "outside").exists()


@needs_landlock
def test_files_lets_pytest_run(work: Path) -> None:
    (work / "test_all.py").write_text(TESTS)
    (work / "pytest.ini").touch()
    limits = replace(LIMITS, open_files=256)
    packages = [path for path in sys.path if "site-packages" in path]
    place = Place(BOTH, "files", limits=limits, read=[sys.prefix, sys.base_prefix, *packages], write=[str(work)])
    ended = place.attempt(SESSION.format(path=packages, folder=str(work)))
    assert ended.stdout.endswith("done"), ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "name", ["fork", "execute", "use TCP", "change the root", "signal the parent", "lead a session"]
)
def test_files_stops_the_rest(name: str) -> None:
    code, stopped, _ = STOPPED[name]
    assert Place(SECCOMP, "files").said(code, forked=True) == stopped


@pytest.mark.parametrize("name", ["change a mode", "change the mode of an open file", "change times"])
def test_modes_and_times_stay_where_only_landlock_keeps_files(name: str, work: Path) -> None:
    """It would let a process change those of any file."""
    assert Place(BOTH, "files", write=[str(work)]).said(STOPPED[name][0]) == "EPERM"


@needs_landlock
def test_processes_lets_tests_start_programs(work: Path) -> None:
    programs = ["/usr/bin", "/bin", "/etc/ld.so.cache", sys.prefix, sys.base_prefix]
    place = Place(BOTH, "processes", read=programs, write=[str(work)])
    assert place.said(PROGRAMS) == "done"
    assert place.said(STOP_A_CHILD) == ("done" if BOTH.landlock >= 6 else "EPERM")
    for name in ("signal the parent", "use TCP", "use unix sockets", "change the root", "become another user"):
        assert place.said(STOPPED[name][0], forked=True) == "EPERM"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has another way into the kernel")
def test_the_system_calls_of_32_bit_programs_are_death() -> None:
    code = """
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    assert Place(SECCOMP).attempt(code).returncode == -31
