from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_repoagent.cli import main


@pytest.mark.parametrize(
    "words", [["nonsense"], ["suite", "nonsense"], [], ["sql"], ["suite", "split", "x", "--seed=y"]]
)
def test_wrong_words_are_one_line_and_exit_4(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("repoagent: ")
    assert err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pytest_repoagent.cli store schema | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("-- The store")
    assert done.stderr == ""
