from __future__ import annotations

import subprocess
import sys

from process_kit import all_die, descendants, eventually

SLEEPS = "import time; time.sleep(50)"


def test_a_command_does_not_outlive_who_was_killed_while_running_it() -> None:
    runs = f"import sys; from builders.command import run; run([sys.executable, '-c', {SLEEPS!r}], None, print)"
    with subprocess.Popen([sys.executable, "-c", runs]) as process:
        assert eventually(lambda: any(line.endswith(f"-c {SLEEPS} ") for line in descendants(process.pid).values()))
        below = descendants(process.pid)
        process.kill()
    assert all_die(below)
