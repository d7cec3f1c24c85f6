"""Serving a model's folder with a server that is installed: vLLM's, or else transformers' own."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from urllib.request import ProxyHandler, build_opener

from builders.command import end, run, start
from builders.signals import handled, interrupt
from pytest_repoagent.errors import InfrastructureError, UsageError

HOST = "127.0.0.1"
PATIENCE_S = 1800.0
"""Seconds a server has to load a model."""
_POLL_S = 0.5
_LINES_SHOWN = 15


def serve(folder: Path, port: int | None, command: Sequence[str], say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C, or as long as a command takes.

    Args:
        folder: of a model; its name is the model's.
        port: to listen at, on this machine only; None for a free one.
        command: run while it is up; ``{model}`` in its words becomes the model to evaluate, ``OPENAI_BASE_URL`` in its
            environment leads there.
        say: is told what happens.

    Returns:
        The command's exit status; 0 without one.

    Raises:
        UsageError: it is no model's folder, no server is installed, or the port is taken.
        InfrastructureError: the server ended, or is not ready after half an hour.
    """
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} is no folder of a model: it has no config.json")
    folder = folder.resolve()
    port = _free(port)
    program = _server(folder.name, port)
    model, url = f"openai:{folder.name}", f"http://{HOST}:{port}/v1"
    say(f"loading {folder.name}: {shlex.join(program)}")
    with handled(interrupt), _up(program, folder.parent, port):
        if command:
            words = [word.replace("{model}", model) for word in command]
            return run(words, None, say, {"OPENAI_BASE_URL": url})
        say(f"ready: pytest --model={model} --base-url={url}")
        say("Ctrl-C stops it")
        while True:
            sleep(_POLL_S)


def _server(name: str, port: int) -> list[str]:
    """The command that serves the folder ``name`` of the current directory under that name."""
    vllm = shutil.which("vllm")
    if vllm:
        return [vllm, "serve", name, "--host", HOST, "--port", str(port)]
    if any(find_spec(package) is None for package in ("torch", "transformers", "fastapi", "uvicorn", "openai")):
        raise UsageError(
            "no server is installed: python -m pip install 'pytest-repoagent[train]' brings transformers' own, "
            "python -m pip install vllm a fast one for GPUs"
        )
    start = "from transformers.cli.transformers import main; main()"
    return [sys.executable, "-c", start, "serve", name, "--host", HOST, "--port", str(port)]


def _free(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except OSError as error:
            raise UsageError(f"--port: {port} cannot be used ({error.strerror}); choose another") from None
        return int(probe.getsockname()[1])


@contextmanager
def _up(program: Sequence[str], place: Path, port: int) -> Iterator[None]:
    """The server, ready to answer; it is ended with the block."""
    with tempfile.TemporaryFile() as log:
        process = start(program, cwd=place, stdout=log, stderr=log, start_new_session=True)
        try:
            if not _ready(process, port):
                log.seek(0)
                last = b"\n".join(log.read().splitlines()[-_LINES_SHOWN:]).decode(errors="replace")
                raise InfrastructureError(f"the server ended before it was ready; its last words:\n{last}")
            yield
        finally:
            end(process)


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it answers; False where it has ended instead."""
    opener = build_opener(ProxyHandler({}))
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        if process.poll() is not None:
            return False
        try:
            with opener.open(f"http://{HOST}:{port}/health", timeout=5):
                return True
        except OSError:
            sleep(_POLL_S)
    raise InfrastructureError(f"the server is not ready after {PATIENCE_S / 60:.0f} minutes")
