from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from sandbox_kit import needs_bubblewrap

from pytest_repoagent.testrun.sandbox import bubblewrap

HOME = (sys.prefix, sys.base_prefix)


def inside(
    code: str, read: Sequence[str | Path] = (), write: Sequence[str | Path] = (), fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    command = bubblewrap.command([*HOME, *map(str, read)], list(map(str, write)), 1 << 20)
    words = [*command, sys.executable, "-I", "-S", "-B", "-c", "import os, sys\n" + code]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, pass_fds=fds)


def printed(code: str, read: Sequence[str | Path] = (), write: Sequence[str | Path] = ()) -> object:
    """What the expression ``code`` is inside; the name of the exception's class where it fails."""
    safe = f"try: print(repr({code}))\nexcept OSError as error: print(repr(os.strerror(error.errno)))"
    ended = inside(safe, read, write)
    assert ended.returncode == 0, ended.stderr
    return eval(ended.stdout)


@needs_bubblewrap
class TestInside:
    def test_only_what_was_asked_for_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "shown").mkdir()
        (tmp_path / "shown" / "file").write_text("text")
        (tmp_path / "hidden").write_text("secret")
        read = [tmp_path / "shown"]
        assert printed(f"open({str(tmp_path / 'shown' / 'file')!r}).read()", read) == "text"
        assert printed(f"os.listdir({str(tmp_path)!r})", read) == ["shown"]
        assert printed(f"os.stat({str(tmp_path / 'hidden')!r})", read) == "No such file or directory"
        for path in ("/home", "/root/.ssh", "/etc/passwd", "/etc/hostname", "/sys", "/run", "/var", __file__):
            assert printed(f"os.path.exists({path!r})") is False, path

    def test_nothing_can_be_changed_but_what_was_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "read").mkdir()
        (tmp_path / "read" / "write").mkdir()
        read, write = [tmp_path / "read"], [tmp_path / "read" / "write"]
        readonly = "Read-only file system"
        assert printed(f"os.mkdir({str(tmp_path / 'read' / 'new')!r})", read, write) == readonly
        assert printed(f"os.chmod({str(tmp_path / 'read')!r}, 0o777)", read, write) == readonly
        assert printed(f"os.mkdir({str(tmp_path / 'read' / 'write' / 'new')!r})", read, write) is None
        assert (tmp_path / "read" / "write" / "new").is_dir()
        for path in ("/new", "/dev/new", "/usr/new", "/etc/new"):
            assert printed(f"os.mkdir({path!r})", read, write) == readonly, path
        assert printed(f"os.mkdir({str(tmp_path / 'new')!r})", read, write) is None  # in the temporary files
        assert not (tmp_path / "new").exists()

    def test_settings_of_the_kernel_cannot_be_changed(self) -> None:
        """They belong to root, whom a container of root's runs as, under another name."""
        found = printed("os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)")
        assert found in ("Read-only file system", "Permission denied")

    def test_temporary_files_are_private_and_small(self, tmp_path: Path) -> None:
        hidden = tmp_path / "hidden"
        hidden.touch()
        assert printed(f"os.path.exists({str(hidden)!r})") is False
        assert printed("open('/tmp/x', 'wb').write(bytes(500_000))") == 500_000
        assert printed("open('/tmp/x', 'wb').write(bytes(2_000_000))") == "No space left on device"
        assert printed("os.stat('/tmp').st_mode & 0o777") == 0o700

    def test_it_is_nobody_without_rights(self) -> None:
        assert printed("(os.getuid(), os.getgid(), os.geteuid())") == (65534, 65534, 65534)
        status = printed("open('/proc/self/status').read()")
        assert isinstance(status, str)
        for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert f"{capabilities}:\t0000000000000000\n" in status
        assert "NoNewPrivs:\t1\n" in status

    def test_processes_network_and_name_are_its_own(self) -> None:
        assert printed("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())") == [1, 2]
        assert printed("[line.split(':')[0].strip() for line in open('/proc/net/dev')][2:]") == ["lo"]
        udp = "(socket := __import__('socket')).socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
        assert printed(udp) == "Network is unreachable"
        assert printed("os.uname().nodename") == "sandbox"

    def test_devices_are_few(self) -> None:
        assert printed("sorted(os.listdir('/dev'))") == ["fd", "null", "urandom", "zero"]
        assert printed("open('/dev/null', 'w').write('x')") == 1

    def test_open_files_pass_through(self) -> None:
        reading, writing = os.pipe()
        try:
            assert inside(f"os.write({writing}, b'hello')", fds=[writing]).returncode == 0
            assert os.read(reading, 10) == b"hello"
        finally:
            os.close(reading)
            os.close(writing)

    def test_symbolic_links_on_the_way_lead_where_they_do_outside(self, tmp_path: Path) -> None:
        """So that the interpreter of a virtual environment is found."""
        (tmp_path / "real" / "deep").mkdir(parents=True)
        (tmp_path / "real" / "deep" / "file").write_text("text")
        (tmp_path / "real" / "secret").write_text("secret")
        (tmp_path / "absolute").symlink_to(tmp_path / "real")
        (tmp_path / "relative").symlink_to("absolute/deep")
        (tmp_path / "upwards").symlink_to("real/../absolute/deep/file")
        assert printed(f"open({str(tmp_path / 'relative' / 'file')!r}).read()", [tmp_path / "relative"]) == "text"
        assert printed(f"open({str(tmp_path / 'upwards')!r}).read()", [tmp_path / "upwards"]) == "text"
        hidden = printed(f"os.path.exists({str(tmp_path / 'real' / 'secret')!r})", [tmp_path / "relative"])
        assert hidden is False

    def test_a_path_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        for read, write in (([tmp_path / "missing"], []), ([], [tmp_path / "missing"])):
            ended = inside("", read, write)
            assert ended.returncode != 0
            assert str(tmp_path / "missing") in ended.stderr


def test_a_loop_of_symbolic_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        bubblewrap.command([str(tmp_path / "a")], [], 1)


def test_what_is_below_another_path_is_not_bound_twice(tmp_path: Path) -> None:
    for name in ("a", "a/b", "a/b/c", "ab"):
        (tmp_path / name).mkdir()
    a, b, c, ab = (str(tmp_path / name) for name in ("a", "a/b", "a/b/c", "ab"))
    command = bubblewrap.command([c, a, ab], [b], 1)
    bound = [(option, path) for option, path in pairwise(command) if path.startswith(str(tmp_path))]
    assert [pair for pair in bound if "bind" in pair[0]] == [
        ("--ro-bind", a),
        ("--bind", b),
        ("--ro-bind", c),
        ("--ro-bind", ab),
    ]


class TestProblem:
    @pytest.fixture
    def fake(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where ``bwrap`` is looked for."""
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path / "bwrap"

    @needs_bubblewrap
    def test_there_is_none_where_it_works(self) -> None:
        assert bubblewrap.problem() is None

    def test_it_is_not_installed(self, fake: Path) -> None:
        trouble = bubblewrap.problem()
        assert trouble == "Bubblewrap (`bwrap`) is not installed."
        assert "apt install bubblewrap" in bubblewrap.remedy(trouble)

    @pytest.mark.parametrize(
        ("said", "remedy"),
        [
            ("bwrap: setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns=0"),
            ("bwrap: No permissions to create a new namespace", "in a container"),
            ("bwrap: Unknown option --size", "0.7 or later"),
        ],
    )
    def test_it_may_not(self, fake: Path, said: str, remedy: str) -> None:
        fake.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        fake.chmod(0o755)
        trouble = bubblewrap.problem()
        assert trouble == f"Bubblewrap fails: {said}."
        assert remedy in bubblewrap.remedy(trouble)

    def test_it_is_silent(self, fake: Path) -> None:
        fake.write_text("#!/bin/sh\nexit 7\n")
        fake.chmod(0o755)
        assert bubblewrap.problem() == "Bubblewrap fails: exit status 7."
