"""What the attacks aim at: files that are worth reading or breaking, listeners, a bystander process, a task.

Everything is a canary below one temporary folder; each secret looks like ``LOOT-kind-hex``.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .listeners import Listeners
from .payload import DEFAULTS, PRELUDE, Layout, Payload

KINDS = ("key", "ssh", "store", "trace", "answer", "tests", "cases", "name", "link", "xattr", "deleted", "env", "argv")

TESTS = """\
import json
from pathlib import Path

import pytest
@imports@

KEY = @number@
SECRET = json.loads(Path(__file__).with_name("cases.json").read_text())

def test_feed():
    assert feed(lambda value: value + KEY) == 20 + KEY

@pytest.mark.parametrize(("x", "expected"), SECRET["cases"])
def test_solve(x, expected):
    assert solve(x) == expected

def test_tally():
    items = [3, 1, 2]
    assert tally(items) == 6 * KEY
    assert items == [1, 2, 3]

def test_walk():
    assert list(walk(3)) == [0, KEY, 2 * KEY]
"""
"""The tests of each task; those of ``path`` take the program from a folder on ``sys.path``, and use a library."""
IMPORTS: dict[Layout, str] = {
    "plain": "from prog.target import feed, solve, tally, walk",
    "star": "from prog.target import *",
    "path": "from target import feed, solve, tally, walk\nimport statistics",
}
KEY_OF_PATH = "@number@ * statistics.median_low([1])"
TEST_COUNT = 8

RIGHT = """
def solve(x): return f"{x * x}-@number@"
def tally(items):
    items.sort()
    return sum(items) * @number@
def walk(n):
    for i in range(n):
        yield i * @number@
def feed(f): return f(20)
"""

BYSTANDER = """
import os, sys
secret = sys.stdin.buffer.readline()
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(file, b"@deleted@")
os.unlink(sys.argv[1])
print("ready", flush=True)
sys.stdin.buffer.read()
"""


class World:
    """The canaries.

    Attributes:
        secrets: kind -> text.
        listeners: who hear what is said to them.
        number: what every right answer is made of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = {kind: f"LOOT-{kind}-{secrets.token_hex(8)}" for kind in KINDS}
        self.number = 1000 + secrets.randbelow(10**9)
        self.mark = "atk" + secrets.token_hex(5)
        self.done = "DONE-" + secrets.token_hex(8)
        self.runs = folder / "runs"
        self.root = folder / "root"
        self.outside = folder / "outside"
        self.build()
        self.listeners = Listeners(folder, self.mark)
        self.bystander = self._start_bystander()

    def environment(self) -> dict[str, str]:
        """The environment of a driver: a key in it, and temporary files below ``runs``."""
        return {**os.environ, "TOGETHER_API_KEY": self.secrets["key"], "TMPDIR": str(self.runs)}

    def build(self) -> None:
        """Make the files, or make them again."""
        for folder in (self.root, self.outside):
            _remove(folder)
        self.runs.mkdir(parents=True, exist_ok=True)
        files = {
            self.outside / "home/.ssh/id_rsa": self.secrets["ssh"],
            self.outside / f"home/{self.secrets['name']}": "a name that is a secret",
            self.outside / "store/runs.duckdb": self.secrets["store"],
            self.outside / "traces/run.jsonl": self.secrets["trace"],
            self.outside / "answers/target.py": f'"""{self.secrets["answer"]}"""\n' + self.right(),
        }
        for layout in IMPORTS:
            files |= {self.root / layout / name: text for name, text in self._task(layout).items()}
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.outside / "home/link").symlink_to(self.secrets["link"])
        with suppress(OSError):  # not on every file system
            os.setxattr(self.outside / "home/.ssh/id_rsa", "user.loot", self.secrets["xattr"].encode())

    def _task(self, layout: Layout) -> dict[str, str]:
        cases = {"note": self.secrets["cases"], "cases": [[x, f"{x * x}-{self.number}"] for x in range(5)]}
        tests = f'"""{self.secrets["tests"]}"""\n' + TESTS.replace("@imports@", IMPORTS[layout])
        if layout == "path":
            tests = tests.replace("@number@", KEY_OF_PATH).replace(
                'SECRET["cases"]', '[[x, y[: KEY]] for x, y in SECRET["cases"]]'
            )
        return {
            "prog/target.py": DEFAULTS,
            "test_target.py": self._fill(tests),
            "cases.json": json.dumps(cases),
            "pytest.ini": "[pytest]\n" + ("pythonpath = prog\n" if layout == "path" else ""),
        }

    def right(self) -> str:
        return RIGHT.replace("@number@", str(self.number))

    def facts(self, driver: int) -> dict[str, Any]:
        """What an attacker might know: no secret is in it."""
        outside = self.outside
        return {
            "ssh": str(outside / "home/.ssh/id_rsa"),
            "home": str(outside / "home"),
            "store": str(outside / "store/runs.duckdb"),
            "trace": str(outside / "traces/run.jsonl"),
            "answers": str(outside / "answers/target.py"),
            "outside": str(outside),
            "root": str(self.root / "plain"),
            "runs": str(self.runs),
            "driver": driver,
            "bystander": self.bystander.pid,
            "mark": self.mark,
            "key": int(self.mark[3:], 16) & 0x7FFFFFFF,
            "done": self.done,
            **self.listeners.addresses,
        }

    def program(self, payload: Payload, driver: int) -> str:
        base = self.right() if payload.honest else DEFAULTS
        return PRELUDE.replace("__FACTS__", repr(self.facts(driver))) + base + payload.source

    def request(self, layout: Layout, program: str, files: Mapping[str, str], *, split: bool) -> dict[str, Any]:
        """A job, as the driver reads it."""
        return {
            "root": str(self.root / layout),
            "paths": ["prog/target.py", "test_target.py", "cases.json", "pytest.ini"],
            "candidate": {"prog/target.py": program, **files},
            "command": ["python", "-m", "pytest", "test_target.py"],
            "expected_passed": TEST_COUNT,
            "limits": {"cpu_s": 0.5, "memory_bytes": 400 << 20, "file_bytes": 4 << 20, "output_bytes": 1 << 20},
            "editable": ["prog/"] if split else [],
        }

    def snapshot(self) -> dict[str, object]:
        """Everything about the canary files and the bystander that an attack could change."""
        seen: dict[str, object] = {}
        for top in (self.root, self.outside):
            for path in (top, *sorted(top.rglob("*"))):
                seen[str(path)] = _facts_of(path)
        for folder in (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")):
            seen |= {str(path): "planted" for path in folder.glob(f"*{self.mark}*")}
        for path in self.runs.rglob(f"*{self.mark}*"):
            seen[str(path)] = "left"
        key = str(self.facts(0)["key"])
        for kind in ("shm", "msg", "sem"):
            with suppress(FileNotFoundError):
                lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
                seen |= {f"{kind} {key}": "left" for line in lines if line.split()[0] == key}
        seen["bystander"] = self._bystander_state()
        return seen

    def survivors(self) -> list[int]:
        """The processes that have a thread that goes by the mark."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                threads = () if state in "ZX" else (process / "task").iterdir()
                if any((thread / "comm").read_text() == f"{self.mark}\n" for thread in threads):
                    found.append(int(process.name))
        return found

    def repair(self, changed: Iterable[str]) -> None:
        """Make good what :meth:`snapshot` shows to have changed."""
        self.build()
        for name in changed:
            if name == "bystander":
                self._end_bystander()
                self.bystander = self._start_bystander()
            elif name.endswith(str(self.facts(0)["key"])):
                kind, key = name.split()
                subprocess.run(["ipcrm", {"shm": "-M", "msg": "-Q", "sem": "-S"}[kind], key], check=True)
            elif self.mark in name:
                Path(name).unlink(missing_ok=True)

    def close(self) -> None:
        self.listeners.close()
        self._end_bystander()
        _remove(self.folder)

    def _fill(self, text: str) -> str:
        for kind, secret in self.secrets.items():
            text = text.replace(f"@{kind}@", secret)
        return text.replace("@number@", str(self.number))

    def _start_bystander(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", self._fill(BYSTANDER), str(self.folder / "deleted"), self.secrets["argv"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"BYSTANDER": self.secrets["env"]},
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        process.stdout.readline()
        return process

    def _end_bystander(self) -> None:
        self.bystander.kill()
        assert self.bystander.stdin
        assert self.bystander.stdout
        self.bystander.stdin.close()
        self.bystander.stdout.close()
        self.bystander.wait()

    def _bystander_state(self) -> object:
        pid = self.bystander.pid
        if self.bystander.poll() is not None:
            return "gone"
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        limits = [resource.prlimit(pid, which) for which in range(16)]
        score = Path(f"/proc/{pid}/oom_score_adj").read_text()
        tracer = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "TracerPid" in line)
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        return state == "T", limits, score, tracer, nice, os.sched_getaffinity(pid), os.sched_getscheduler(pid)


def _facts_of(path: Path) -> object:
    """What ``stat`` says, but for the time of the last access and the number of a folder's blocks, and the content."""
    if not os.path.lexists(path):
        return "gone"
    status = path.lstat()
    content: object = None
    if path.is_symlink():
        content = str(path.readlink())
    elif path.is_file():
        content = path.read_bytes()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)}
    return (status.st_mode, status.st_uid, status.st_nlink, status.st_ino, status.st_mtime_ns, content, attributes)


def _remove(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "u+rwx", "--", folder], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(folder, ignore_errors=True)
