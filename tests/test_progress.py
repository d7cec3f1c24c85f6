from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest


def shown(code: str) -> bytes:
    """What a terminal gets from a process."""
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs, timeout=60)
    os.close(theirs)
    assert done.returncode == 0
    text = b""
    try:
        while more := os.read(ours, 1 << 16):
            text += more
    except OSError:  # no process has the other end
        pass
    os.close(ours)
    return text


CODE = """
import time
from builders import progress
progress.AFTER_S = {after}
with progress.progress("writing", 3) as advance:
    advance(1)
    time.sleep({takes})
"""


@pytest.mark.parametrize(("after", "takes", "seen"), [(60, 0, False), (0, 0.5, True)])
def test_only_what_takes_long_has_a_bar(after: float, takes: float, seen: bool) -> None:
    text = shown(CODE.format(after=after, takes=takes))
    assert (b"writing" in text) == seen
    assert seen or text == b""
