"""The worker's end, forked, without a judge that runs tests."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_repoagent.testrun.split import worker
from pytest_repoagent.testrun.split.peer import Gone
from pytest_repoagent.testrun.split.plain import Unservable
from pytest_repoagent.testrun.split.proxies import Bridge

ROOT = Path(__file__).parents[1]
_SERVE = """
import socket, sys
from pytest_repoagent.testrun.split import worker
worker.Worker(sys.argv[2]).attend(socket.socket(fileno=int(sys.argv[1])), [sys.argv[2]], sys.argv[3] == "True")
"""


class _Bridge(Bridge):
    def gone(self) -> NoReturn:
        raise Gone


@contextmanager
def _served(folder: Path, source: str, *, record: bool = False) -> Iterator[Bridge]:
    """A bridge to a worker whose program is the one module ``prog``, imported."""
    (folder / "prog.py").write_text(source)
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-B", "-c", _SERVE, str(theirs.fileno()), str(folder), str(record)]
    with (
        ours,
        subprocess.Popen(command, cwd=folder, pass_fds=[theirs.fileno()], env={"PYTHONPATH": str(ROOT)}) as process,
    ):
        theirs.close()
        bridge = _Bridge(str(folder), {"prog.py": source})
        bridge.connect(ours)
        try:
            bridge.load("prog")
            yield bridge
        finally:
            bridge.disconnect()
    assert process.returncode == 0


def test_it_ends_with_its_judge(tmp_path: Path) -> None:
    with _served(tmp_path, "def f(x):\n    return [x]\n") as bridge:
        _, function = bridge.get_global("prog", "f")
        assert function(3) == [3]


def test_what_it_prints_is_bounded_like_a_file() -> None:
    output = worker._Output()
    output.limit = 10
    assert output.write(b"0123456789") == 10
    with pytest.raises(OSError, match="File too large") as info:
        output.write(b"x")
    assert info.value.errno == errno.EFBIG
    assert output.take() == "0123456789"
    output.close()
    assert output.write(b"more") == 4


def test_nothing_that_was_shared_stays_for_ever(tmp_path: Path) -> None:
    source = "from functools import lru_cache\n@lru_cache(None)\ndef f(x):\n    return [x]\ndef g(a):\n    return [a]\n"
    with _served(tmp_path, source) as bridge:
        (_, f), (_, g) = (bridge.get_global("prog", name) for name in "fg")
        first = f(0)
        for number in range(100):
            assert f(number) == [number]
            assert g([number]) == [[number]]
        assert f(0) is first
        f(1)
        assert len(bridge.heap.objects) < 10


def test_a_cycle_of_the_program_does_not_keep_arguments_for_ever(tmp_path: Path) -> None:
    source = (
        "import gc\ndef f(a):\n    def walk(n):\n        return n and walk(n - 1)\n    return walk(len(a))\n"
        "def collect():\n    gc.collect()\n"
    )
    with _served(tmp_path, source) as bridge:
        (_, f), (_, collect) = (bridge.get_global("prog", name) for name in ("f", "collect"))
        for number in range(50):
            assert f([number]) == 0
        collect()
        collect()
        assert len(bridge.heap.objects) < 10


def test_there_is_no_input(tmp_path: Path) -> None:
    with _served(tmp_path, "def f():\n    return input()\n") as bridge:
        _, function = bridge.get_global("prog", "f")
        with pytest.raises(OSError, match="reading from stdin"):
            function()


def test_a_program_may_hide_its_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (
        "import contextlib, io, sys\ndef f():\n    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        print('x')\n    print('y', end='')\n    sys.stdout.buffer.write(b'\\xff')\n    sys.stdout.close()\n"
        "    return out.getvalue()\ndef g():\n    return 1\n"
    )
    with _served(tmp_path, source) as bridge:
        (_, f), (_, g) = (bridge.get_global("prog", name) for name in "fg")
        assert f() == "x\n"
        assert g() == 1
    assert capsys.readouterr().out == "y\ufffd"


def test_an_answer_too_large_is_no_answer(tmp_path: Path) -> None:
    with _served(tmp_path, "def f(n):\n    return 'x' * n\n") as bridge:
        _, function = bridge.get_global("prog", "f")
        with pytest.raises(Unservable):
            function(9 << 20)
        assert function(2) == "xx"


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("open('x', 'w')", "for writing"),
        ("import os; os.mkdir('x')", "os.mkdir"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import os; os.waitpid(os.fork() or os._exit(0), 0)", "os.fork"),
        ("import socket; socket.socket().close()", "socket"),
        ("import os; os.environ['A'] = 'b'", "os.putenv"),
        ("import warnings; warnings.warn('x')", "warns"),
        ("import logging; logging.error('x')", "logs"),
        ("open(__import__('sys').argv[0] and '/proc/1/status')", "reads /proc/1/status"),
    ],
)
def test_a_recording_worker_tells_what_a_sandbox_would_stop(body: str, note: str, tmp_path: Path) -> None:
    with _served(tmp_path, f"def f():\n    {body}\n", record=True) as bridge:
        _, function = bridge.get_global("prog", "f")
        assert not bridge.unservable
        function()
        assert any(note in reason for reason in bridge.unservable)


def test_after_an_interrupted_call_there_is_no_next_one(tmp_path: Path) -> None:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with _served(tmp_path, "import time\ndef f(x):\n    time.sleep(x)\n    return x\n") as bridge:
            _, function = bridge.get_global("prog", "f")
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError):
                function(1)
            with pytest.raises(Gone):
                function(0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_calls_nest(tmp_path: Path) -> None:
    source = "def f(g, n):\n    return n and 1 + g(g, n - 1)\n"
    with _served(tmp_path, source) as bridge:
        _, function = bridge.get_global("prog", "f")
        assert function(lambda g, n: function(g, n), 20) == 20


def test_it_holds_only_what_it_needs() -> None:
    code = "import sys, pytest_repoagent.testrun.split.worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {
        "pytest",
        "ast",
        "inspect",
        "linecache",
        "decimal",
        "datetime",
        "pydantic",
        "logging",
        "random",
    }
    assert os.fspath(ROOT) not in loaded
