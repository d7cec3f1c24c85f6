"""Tries payloads on a runner at a level of the sandbox, and looks at the damage from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_repoagent

from .payload import DEFAULTS, Harm, Layout, Payload
from .world import IMPORTS, World

GIVE_UP_S = 60.0
GONE_AFTER_S = 2.0
TEXT_BOUND = 2100
TAG = re.compile(r"(?m)^[ \t]*(?:\[(?:tool_result|TESTS PASS|TESTS FAIL|parse_error)\]|<tool_(?:response|result)>)")
WRONG = "def solve(x): return 'wrong'\n"


@dataclass(frozen=True)
class Level:
    """A runner and what holds the candidate.

    Attributes:
        name: the column of the table.
        sandbox: what ``Verdict.sandbox`` must say.
        without: layers to leave out.
        split: the candidate has a process of its own.
    """

    name: str
    runner: str = "warm"
    mode: str = "auto"
    sandbox: str = "full"
    without: tuple[str, ...] = ()
    split: bool = True


@dataclass(frozen=True)
class Attempt:
    """What a payload did.

    Attributes:
        harms: empty if it was stopped.
        evidence: what shows each harm, and the text a model would have been shown.
    """

    harms: frozenset[Harm]
    evidence: dict[str, Any] = field(default_factory=dict)


class DriverLost(Exception):
    """The driver gave no answer."""

    def __init__(self, harm: Harm, why: str) -> None:
        super().__init__(why)
        self.harm: Harm = harm


class Driver:
    """A driver process at a level.

    Attributes:
        sandbox: what its runner says of itself.
    """

    def __init__(self, level: Level, world: World) -> None:
        environment = world.environment() | {"REPOAGENT_SANDBOX_WITHOUT": ",".join(level.without)}
        package = str(Path(pytest_repoagent.__file__).parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
        self._log = (world.folder / "driver.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("driver.py")), level.runner, level.mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.sandbox: str = self._read()["sandbox"]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have a job run.

        Raises:
            DriverLost: the driver died, was stopped, or did not answer in time.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Let it end, or make it."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        out = self._process.stdout.fileno()
        os.set_blocking(out, False)
        line = bytearray()
        deadline = time.monotonic() + GIVE_UP_S
        while not line.endswith(b"\n"):
            piece = b""
            with suppress(BlockingIOError):
                piece = os.read(out, 1 << 16)
                if not piece:
                    raise DriverLost("killed", f"the driver ended with status {self._process.wait()}")
            line += piece
            if self._stopped():
                raise DriverLost("killed", "the driver was stopped")
            if time.monotonic() > deadline:
                raise DriverLost("hung", f"no answer in {GIVE_UP_S:g} s")
            if not piece:
                time.sleep(0.002)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _stopped(self) -> bool:
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        return False


class Range:
    """A world and a driver at one level, for any number of payloads."""

    def __init__(self, level: Level, folder: Path) -> None:
        self.level = level
        self.world = World(folder)
        self.driver = Driver(level, self.world)
        self._judge = "split" if level.split else "in_process"
        for layout in IMPORTS:
            honest = self._judged(layout, self.world.right())
            if not honest["passed"] or honest.get("judge") != self._judge:
                self.close()
                raise RuntimeError(f"at level {level.name} the right program of {layout} got {honest}")

    def attempt(self, payload: Payload) -> Attempt:
        """Run the payload, see what it did, and put everything back."""
        world = self.world
        world.listeners.heard.clear()
        before = world.snapshot()
        evidence: dict[str, Any] = {}
        harms: set[Harm] = set()
        request = self._request(payload.layout, world.program(payload, self.driver.pid), payload.files)
        started = time.monotonic()
        try:
            answer = self.driver.ask(request)
        except DriverLost as lost:
            harms.add(lost.harm)
            evidence[lost.harm] = str(lost)
            self._new_driver()
        else:
            self._look(payload, answer, harms, evidence)
        evidence["wall_s"] = round(time.monotonic() - started, 2)
        if survivors := self._survivors():
            harms.add("survived")
            evidence["survived"] = survivors
        if heard := list(world.listeners.heard):
            harms.add("connected")
            evidence["connected"] = heard
        after = world.snapshot()
        if changed := {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}:
            harms.add("tampered")
            evidence["tampered"] = sorted(changed)
            world.repair(changed)
        if spoiled := self._spoiled(payload.layout):
            harms.add("spoiled")
            evidence["spoiled"] = spoiled
            self._new_driver()
        return Attempt(frozenset(harms), evidence)

    def close(self) -> None:
        """End the driver and remove the world."""
        self.driver.close()
        self.world.close()

    def _look(self, payload: Payload, answer: dict[str, Any], harms: set[Harm], evidence: dict[str, Any]) -> None:
        if "error" in answer:
            harms.add("excused")
            evidence["excused"] = answer["error"]
            return
        verdict = answer["verdict"]
        text = "\n".join([verdict["text"], *(test["test_id"] + test["detail"] for test in verdict["tests"])])
        evidence["text"] = verdict["text"]
        if verdict["passed"] and not payload.honest:
            harms.add("cheated")
        if found := [kind for kind, secret in self.world.secrets.items() if secret in text]:
            harms.add("leaked")
            evidence["leaked"] = found
        if self.world.done in text:
            harms.add("reached")
        if verdict.get("judge") != self._judge:
            harms.add("demoted")
        if bad := _unfit(verdict["text"]):
            harms.add("injected")
            evidence["injected"] = bad

    def _request(self, layout: Layout, program: str, files: Mapping[str, str]) -> dict[str, Any]:
        return self.world.request(layout, program, files, split=self.level.split)

    def _judged(self, layout: Layout, program: str) -> dict[str, Any]:
        answer = self.driver.ask(self._request(layout, program, {}))
        return answer.get("verdict") or {"passed": None, "text": answer["error"]}

    def _spoiled(self, layout: Layout) -> str:
        """What the runner now gets wrong about honest programs."""
        try:
            right, wrong = self._judged(layout, self.world.right()), self._judged(layout, DEFAULTS + WRONG)
        except DriverLost as lost:
            return str(lost)
        if right["passed"] is not True:
            return f"the right program: {right['text']}"
        if wrong["passed"] is not False:
            return f"the wrong program: {wrong['text']}"
        return ""

    def _survivors(self) -> list[int]:
        deadline = time.monotonic() + GONE_AFTER_S
        while (alive := self.world.survivors()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return alive

    def _new_driver(self) -> None:
        self.driver.close()
        self.driver = Driver(self.level, self.world)


def _unfit(text: str) -> list[str]:
    """What a model must not be shown: control and direction characters, a driver's tag, or too much."""
    bad = [f"U+{ord(char):04X}" for char in set(text) if _is_control(char)]
    bad += [f"line {match.group()!r}" for match in TAG.finditer(text)]
    return bad + ([f"{len(text)} characters"] if len(text) > TEXT_BOUND else [])


def _is_control(char: str) -> bool:
    """Whether it moves the cursor, ends a line or turns the direction of a text."""
    if char in "\n\t":
        return False
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(char) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip
