from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from sandbox_kit import LANDLOCK, Place, needs_landlock

from pytest_repoagent.testrun.sandbox import landlock

pytestmark = needs_landlock


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no rule names."""
    file = tmp_path / "outside" / "secret"
    file.parent.mkdir()
    file.write_text("secret")
    return file


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "file").write_text("known")
    return folder


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


READS = {"a file": "open({0!r}).read()", "a folder": "os.listdir(os.path.dirname({0!r}))"}
WRITES = {
    "append": "open({0!r}, 'a')",
    "empty": "os.truncate({0!r}, 0)",
    "empty while reading": "os.open({0!r}, os.O_RDONLY | os.O_TRUNC)",
    "remove": "os.remove({0!r})",
    "rename": "os.rename({0!r}, {0!r} + '2')",
    "make": "open({0!r} + '2', 'x')",
    "make a folder": "os.mkdir({0!r} + '2')",
    "make a symlink": "os.symlink('x', {0!r} + '2')",
    "make a hard link": "os.link({0!r}, {0!r} + '2')",
    "make a pipe": "os.mkfifo({0!r} + '2')",
}


@pytest.mark.parametrize("way", READS)
def test_what_no_rule_names_cannot_be_read(way: str, outside: Path) -> None:
    code = READS[way].format(str(outside))
    assert Place().said(code) == "done"
    assert Place(LANDLOCK).said(code) == "EACCES"


@pytest.mark.parametrize("way", WRITES)
def test_what_no_rule_names_cannot_be_changed(way: str, outside: Path) -> None:
    if "empty" in way and LANDLOCK.landlock < 3:
        pytest.skip("Landlock looks after emptying files from version 3 on; seccomp does before")
    code = WRITES[way].format(str(outside))
    assert Place(LANDLOCK).said(code) == "EACCES"
    assert outside.read_text() == "secret"
    assert list(outside.parent.iterdir()) == [outside]
    assert Place().said(code) == "done"


@pytest.mark.parametrize("way", WRITES)
def test_what_can_be_read_cannot_be_changed(way: str, inside: Path) -> None:
    if "empty" in way and LANDLOCK.landlock < 3:
        pytest.skip("Landlock looks after emptying files from version 3 on; seccomp does before")
    place = Place(LANDLOCK, read=[str(inside)])
    assert place.said(READS["a file"].format(str(inside / "file"))) == "done"
    assert place.said(READS["a folder"].format(str(inside / "file"))) == "done"
    assert place.said(WRITES[way].format(str(inside / "file"))) == "EACCES"


@pytest.mark.parametrize("way", WRITES)
def test_what_can_be_written_can_be_changed(way: str, inside: Path) -> None:
    code = WRITES[way].format(str(inside / "file"))
    assert Place(LANDLOCK, "files", write=[str(inside)]).said(code) == "done"


def test_a_rule_for_a_file_is_for_that_file_alone(inside: Path) -> None:
    (inside / "other").write_text("other")
    place = Place(LANDLOCK, read=[str(inside / "file")])
    assert place.said(f"assert open({str(inside / 'file')!r}).read() == 'known'") == "done"
    assert place.said(f"open({str(inside / 'other')!r})") == "EACCES"


def test_a_symbolic_link_leads_nowhere_else(inside: Path, outside: Path) -> None:
    (inside / "link").symlink_to(outside)
    assert Place(LANDLOCK, read=[str(inside)]).said(f"open({str(inside / 'link')!r})") == "EACCES"


def test_files_cannot_be_brought_in(inside: Path, outside: Path) -> None:
    place = Place(LANDLOCK, "files", write=[str(inside)])
    assert place.said(f"os.link({str(outside)!r}, {str(inside / 'mine')!r})") in ("EACCES", "EXDEV")
    assert place.said(f"os.rename({str(outside)!r}, {str(inside / 'mine')!r})") in ("EACCES", "EXDEV")


def test_harmless_devices_can_be_used() -> None:
    code = "open('/dev/null', 'w').write('x')\nopen('/dev/urandom', 'rb').read(1)\nopen('/dev/zero', 'rb').read(1)"
    assert Place(LANDLOCK).said(code) == "done"


@pytest.mark.parametrize("which", ["read", "write"])
def test_a_path_that_is_not_there_is_an_error_that_names_it(which: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    before = open_files()
    with pytest.raises(FileNotFoundError, match="missing"):
        landlock.Ruleset([missing] if which == "read" else [], [missing] if which == "write" else [])
    assert open_files() == before


def test_rules_are_for_the_folder_that_was_there(inside: Path) -> None:
    """So a rule set made for a folder must not be used for another one of that name."""
    code = f"""
shutil.rmtree({str(inside)!r})
os.mkdir({str(inside)!r})
open({str(inside / "file")!r}, "w")
"""
    assert Place(LANDLOCK, "files", write=[str(inside)]).said(code) == "EACCES"


@pytest.mark.skipif(LANDLOCK.landlock < 4, reason="Landlock looks after TCP from version 4 on")
def test_tcp_is_closed() -> None:
    bind = "socket.socket().bind(('127.0.0.1', 0))"
    assert Place().said(bind) == "done"
    assert Place(LANDLOCK).said(bind) == "EACCES"
    connect = "socket.socket().connect(('127.0.0.1', 9))"
    assert Place().said(connect) == "ECONNREFUSED"
    assert Place(LANDLOCK).said(connect) == "EACCES"


@pytest.mark.skipif(LANDLOCK.landlock < 6, reason="Landlock looks after signals from version 6 on")
def test_signals_do_not_leave() -> None:
    assert Place().said("os.kill(parent, 0)", forked=True) == "done"
    assert Place(LANDLOCK).said("os.kill(parent, 0)", forked=True) == "EPERM"
    code = "child = os.fork()\nif not child: time.sleep(60)\nos.kill(child, signal.SIGKILL)\nos.wait()"
    assert Place(LANDLOCK).said(code) == "done"


@pytest.mark.skipif(LANDLOCK.landlock < 6, reason="Landlock looks after abstract sockets from version 6 on")
def test_abstract_sockets_are_out_of_reach() -> None:
    import socket

    name = f"\0repoagent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        code = f"socket.socket(socket.AF_UNIX).connect({name!r})"
        assert Place().said(code) == "done"
        assert Place(LANDLOCK).said(code) == "EPERM"


def test_the_parent_cannot_be_looked_into() -> None:
    code = "open(f'/proc/{parent}/environ')"
    assert Place().said(code, forked=True) == "done"
    assert Place(LANDLOCK).said(code, forked=True) == "EACCES"
    assert Place(LANDLOCK, read=["/proc"]).said(code, forked=True) == "EACCES"


def test_a_rule_set_that_never_held_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    with pytest.raises(OSError, match="no Landlock") as caught:
        landlock.Ruleset([], [])
    assert caught.value.errno == errno.ENOSYS


@pytest.mark.parametrize("version", range(1, LANDLOCK.landlock + 1))
def test_every_older_version_has_a_rule_set(version: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    landlock.Ruleset(["/"], [str(tmp_path)]).close()
