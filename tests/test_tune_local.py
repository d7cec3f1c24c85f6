"""What ``repoagent tune local`` and ``repoagent serve`` say where nothing to train or serve with is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tune_kit import sft_file

from builders import finetune_local
from builders.local import serving
from pytest_repoagent.cli import main

Caught = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the packages, and no program."""
    for module in (finetune_local, serving):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)


def test_training_without_the_extra_says_what_to_install(tmp_path: Path, capsys: Caught) -> None:
    sft_file(tmp_path)
    assert main(["tune", "local", "sft", "train.jsonl", "--model", "m", "--out", "o"]) == 4
    assert (
        "needs torch, transformers, datasets, accelerate, peft, trl: python -m pip install" in capsys.readouterr().err
    )


def test_serving_without_a_server_says_what_to_install(tmp_path: Path, capsys: Caught) -> None:
    (tmp_path / "config.json").touch()
    assert main(["serve", "."]) == 4
    assert "no server is installed: python -m pip install 'pytest-repoagent[train]'" in capsys.readouterr().err


def test_serving_needs_a_model_and_a_port(tmp_path: Path, capsys: Caught) -> None:
    import socket

    assert main(["serve", "."]) == 4
    assert ". is no folder of a model: it has no config.json" in capsys.readouterr().err
    (tmp_path / "config.json").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", ".", "--port", str(port)]) == 4
    assert f"--port: {port} cannot be used (Address already in use)" in capsys.readouterr().err


def test_a_server_is_stopped_with_its_command_whatever_that_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Caught
) -> None:
    """vLLM by its name: a program that answers /health as vLLM does."""
    import sys

    program = tmp_path / "bin/vllm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import http.server, os, sys\n"
        "assert sys.argv[1:3] == ['serve', 'model'], sys.argv\n"
        "assert sys.argv[3:6] == ['--host', '127.0.0.1', '--port'], sys.argv\n"
        "assert os.path.isfile('model/config.json')\n"
        "class Health(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/health' else 404)\n"
        "        self.end_headers()\n"
        "open('pid', 'w').write(str(os.getpid()))\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[6])), Health).serve_forever()\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").touch()
    script = "import os, sys; print(sys.argv[1], os.environ['OPENAI_BASE_URL']); sys.exit(3)"
    (tmp_path / "ask.py").write_text(script)
    assert main(["serve", "model", "--port", "0", "--run", f"{sys.executable} ask.py {{model}}"]) == 3
    assert "openai:model http://127.0.0.1:" in capfd.readouterr().out
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
