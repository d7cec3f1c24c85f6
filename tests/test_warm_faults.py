"""Kill anything of the warm runner at any moment: it costs a retry of that run, never a wrong verdict."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from process_kit import adopt_orphans, all_die, descendants, eventually, open_files
from runner_corpus import PROGRAM, RIGHT, WRONG, Case, each

from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.testrun.base import Job, Limits, Runner
from pytest_repoagent.testrun.warm_runner import WarmRunner

ROUNDS = 25
PATIENT = Limits(cpu_s=1, memory_bytes=512 << 20)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    adopt_orphans()
    runner = WarmRunner("auto")
    yield runner
    runner.close()


def kill_later(pids: list[int], delay_s: float, sent: signal.Signals) -> threading.Thread:
    """After a while, signal the oldest of ``pids`` that still runs; of none, the youngest process there is."""

    def kill() -> None:
        time.sleep(delay_s)
        for pid in pids or list(descendants(os.getpid()))[-1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, sent)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def kept(runner: Runner, job: Job) -> list[int]:
    """The processes that stay between runs, the server first."""
    assert runner.run(job).passed
    return list(descendants(os.getpid()))


@pytest.mark.parametrize("editable", [("programs/",), ()], ids=["split", "together"])
@pytest.mark.parametrize("number", range(6))
def test_a_kept_process_is_killed_between_runs(
    runner: Runner, tmp_path: Path, number: int, editable: tuple[str, ...]
) -> None:
    job = Case(RIGHT).job(tmp_path, editable)
    processes = kept(runner, job)
    assert processes
    pid = processes[number % len(processes)]
    os.kill(pid, signal.SIGKILL)
    assert all_die([pid])
    assert runner.run(job).passed
    assert not runner.run(replace(job, candidate={PROGRAM: WRONG})).passed


@pytest.mark.parametrize("editable", [("programs/",), ()], ids=["split", "together"])
@pytest.mark.parametrize("victim", ["kept", "youngest"])
def test_a_process_is_killed_during_a_run(
    runner: Runner, tmp_path: Path, victim: str, editable: tuple[str, ...]
) -> None:
    """The run is made again; a killed worker looks like a program that killed itself, but twice is no accident."""
    choose = random.Random(victim)
    job = Case(RIGHT).job(tmp_path, editable)
    for number in range(ROUNDS):
        processes = kept(runner, job)
        pids = [choose.choice(processes)] if victim == "kept" else []
        thread = kill_later(pids, choose.uniform(0, 0.03), signal.SIGKILL)
        good = number % 3 != 0
        verdict = runner.run(job if good else replace(job, candidate={PROGRAM: WRONG}))
        thread.join()
        assert (verdict.passed, verdict.reason) == (good, "passed" if good else "failed"), verdict.text


def test_a_process_is_killed_while_a_task_is_prepared(runner: Runner, tmp_path: Path) -> None:
    choose = random.Random(1)
    for number in range(ROUNDS):
        processes = kept(runner, Case(RIGHT).job(tmp_path / "first"))
        pids = [choose.choice(processes)] if number % 2 else []
        thread = kill_later(pids, choose.uniform(0, 0.15), signal.SIGKILL)
        verdict = runner.run(Case(RIGHT).job(tmp_path / str(number)))
        thread.join()
        assert (verdict.passed, verdict.judge) == (True, "split"), verdict.text


def test_two_kills_in_one_run(runner: Runner, tmp_path: Path) -> None:
    """What cannot be judged is no verdict, and the next run is judged."""
    job = replace(Case(each("import time; time.sleep(0.3)")).job(tmp_path), limits=PATIENT)
    assert runner.run(job).passed
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.05):
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with pytest.raises(InfrastructureError):
            runner.run(job)
    finally:
        stop.set()
        thread.join()
    assert runner.run(job).passed


def test_a_worker_that_is_stopped_meets_the_wall_limit(runner: Runner, tmp_path: Path) -> None:
    job = replace(Case(each("import time; time.sleep(0.2)")).job(tmp_path), limits=PATIENT)
    before = set(kept(runner, job))
    thread = kill_later([], 0.1, signal.SIGSTOP)
    verdict = runner.run(job)
    thread.join()
    assert verdict.reason == "timed_out"
    assert "wall limit 8 s" in verdict.text
    assert set(descendants(os.getpid())) <= before
    assert runner.run(job).passed


def test_many_restarts_leave_nothing(tmp_path: Path) -> None:
    runner = WarmRunner("auto")
    job = Case(RIGHT).job(tmp_path)
    assert runner.run(job).passed
    files, running = open_files(), len(descendants(os.getpid()))
    for _ in range(10):
        os.kill(next(iter(descendants(os.getpid()))), signal.SIGKILL)
        assert runner.run(job).passed
    assert eventually(lambda: len(descendants(os.getpid())) <= running)
    assert open_files() <= files
    runner.close()
