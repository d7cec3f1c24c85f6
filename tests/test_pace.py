"""The speed at which a provider is asked: limits, what 429s teach, and that all processes keep to it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_kit import NAMES, make_project, run, stored
from loopback import Answer, LoopbackServer

from pytest_repoagent import pace
from pytest_repoagent.errors import BudgetReached
from pytest_repoagent.pace import Pace, Pacing

FINAL = '{"type":"final","summary":"done","changes":[]}'
LIST = '{"type":"tool_call","name":"list_files","args":{"rel_dir":".","max_files":9}}'


class Clock:
    """Time that passes by sleeping; ``meanwhile`` is done during the next sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        act, self.meanwhile = self.meanwhile, lambda: None
        act()
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    monkeypatch.setattr(pace, "sleep", clock.sleep)
    return clock


def waits(paced: Pace, number: int, tokens: int = 0) -> list[float]:
    return [paced.wait(tokens).waited_s for _ in range(number)]


def test_without_limits_nobody_waits(clock: Clock) -> None:
    paced = Pacing().of("p")
    for _ in range(100):
        turn = paced.wait(10_000)
        assert turn.waited_s == 0
        paced.answered(turn, 10_000)
    assert clock.now == 1000


def test_requests_are_spread_over_the_minute(clock: Clock) -> None:
    assert waits(Pacing(requests=60).of("p"), 4) == [0, 1, 1, 1]
    clock.now += 100  # what was not used is not saved up
    assert clock.now == 1103


def test_nobody_waits_longer_than_the_run_may_take(clock: Clock) -> None:
    paced = Pacing(requests=1, until=1070.0).of("p")
    assert waits(paced, 2) == [0, 60]
    with pytest.raises(BudgetReached, match="--max-minutes is reached"):
        paced.wait(0)
    assert clock.now == 1070
    with pytest.raises(BudgetReached):
        Pacing(until=1070.0).of("p").wait(0)


def test_tokens_are_guessed_then_counted(clock: Clock) -> None:
    paced = Pacing(tokens=600).of("p")
    first = paced.wait(50)
    second = paced.wait(50)
    assert second.waited_s == 5
    paced.answered(first, 80)
    paced.failed(second, limited=False, after_s=None)  # takes nothing
    third = paced.wait(0)
    assert third.waited_s == pytest.approx(3)
    paced.answered(third, None)
    assert paced.wait(0).waited_s == 0


def test_a_refusal_closes_the_provider_to_those_who_wait_already(clock: Clock) -> None:
    paced = Pacing(requests=60).of("p")
    turn = paced.wait(0)
    clock.meanwhile = lambda: paced.failed(turn, limited=True, after_s=30)
    assert paced.wait(0).waited_s == pytest.approx(30)
    assert Pacing(requests=60).of("p").wait(0).waited_s == 0  # another run's


def test_slots_grow_apart_once_for_a_burst_of_refusals_and_together_again(clock: Clock) -> None:
    paced = Pacing().of("p")
    burst = [paced.wait(0) for _ in range(16)]
    clock.now += 1
    for turn in burst:
        paced.failed(turn, limited=True, after_s=0)
    assert waits(paced, 3) == pytest.approx([0, 0.05, 0.05])
    again = paced.wait(0)
    paced.failed(again, limited=True, after_s=None)
    clock.now += 100
    assert waits(paced, 2) == pytest.approx([0, 0.075])
    for _ in range(30):
        turn = paced.wait(0)
        paced.failed(turn, limited=True, after_s=0)
    clock.now += 100
    assert waits(paced, 2) == [0, 4]
    for _ in range(200):
        paced.answered(paced.wait(0), 1)
    clock.now += 100
    assert waits(paced, 2) == [0, 0]


def test_refusals_that_have_nothing_to_do_with_speed_do_not_stop_the_run(clock: Clock) -> None:
    paced = Pacing().of("p")
    for number in range(1000):
        turn = paced.wait(0)
        if number % 10:
            paced.answered(turn, 1)
        else:
            paced.failed(turn, limited=True, after_s=0)
    assert clock.now < 1000 + 1000 * 0.1


def test_hope_ends_when_nobody_was_answered_for_long(clock: Clock) -> None:
    paced = Pacing(patience_s=600).of("p")
    began = clock.now
    clock.now += 599
    assert paced.is_hopeful(clock.now - began)
    clock.now += 2
    assert not paced.is_hopeful(clock.now - began)
    paced.answered(paced.wait(0), 1)
    clock.now += 599
    assert paced.is_hopeful(clock.now - began)


def test_processes_share_the_slots(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_repoagent.pace import Pacing\n"
        "pace = Pacing(Path(sys.argv[1]), requests=1200).of('p')\n"
        "print(*(pace.wait(0).at for _ in range(20)))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) for _ in range(2)]
    slots = sorted(float(word) for other in others for word in other.communicate(timeout=60)[0].split())
    assert len(slots) == 40
    assert min(later - earlier for earlier, later in itertools.pairwise(slots)) >= 0.0499


@pytest.mark.parametrize("n", ["-n0", "-n2"])
def test_a_run_keeps_to_its_limit(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester, NAMES)
    with LoopbackServer(lambda _: FINAL, models=["tiny"]) as server:
        began = time.monotonic()
        args = [n, "--model=openai:tiny", f"--base-url={server.url}", "--concurrency=8", "--test-policy=never"]
        run(pytester, *args, "--rollouts=2", "--max-requests-per-minute=300").assert_outcomes(passed=16)
        assert time.monotonic() - began >= 15 * 0.2
    waited = stored(pytester, "SELECT count(*) FROM steps WHERE (extra->>'waited_s')::DOUBLE > 0 AND latency_s < 3")
    assert waited == [(15,)]


class Strict:
    """A server that answers only so many requests a second, in tenths of it, and 429 to all others."""

    def __init__(self, tenth: int) -> None:
        self.tenth = tenth
        self.refused = 0
        self._now = 0
        self._left = 0
        self._mutex = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Answer:
        with self._mutex:
            now = int(time.monotonic() * 10)
            if now != self._now:
                self._now, self._left = now, self.tenth
            if not self._left:
                self.refused += 1
                return Answer("slow down", status=429)
            self._left -= 1
        return Answer(LIST if len(body["messages"]) == 2 else FINAL)


@pytest.mark.parametrize("n", ["-n0", "-n2"])
def test_a_storm_of_429s_slows_the_run_and_loses_nothing(pytester: pytest.Pytester, n: str) -> None:
    make_project(pytester, NAMES)
    strict = Strict(tenth=1)
    with LoopbackServer(strict, models=["tiny"]) as server:
        args = [n, "--model=openai:tiny", f"--base-url={server.url}", "--concurrency=16", "--test-policy=never"]
        result = run(pytester, *args, "--rollouts=3", "--retries=0")
        result.assert_outcomes(passed=24)
    assert strict.refused > 0
    assert stored(pytester, "SELECT outcome, count(*) FROM rollouts GROUP BY ALL") == [("final", 24)]


def test_a_call_that_waits_for_its_slot_ends_with_the_time_of_the_run(pytester: pytest.Pytester) -> None:
    make_project(pytester, NAMES)
    with LoopbackServer(lambda _: FINAL, models=["tiny"]) as server:
        args = ["--model=openai:tiny", f"--base-url={server.url}", "--concurrency=8", "--test-policy=never"]
        result = run(pytester, *args, "--rollouts=2", "--max-requests-per-minute=1", "--max-minutes=0.1")
    result.assert_outcomes(passed=1, skipped=15)
    assert result.duration < 45
    waited = "SELECT outcome, cause, count(*) FROM rollouts WHERE error LIKE '%while a call waited%' GROUP BY ALL"
    ((outcome, cause, number),) = stored(pytester, waited)
    assert (outcome, cause) == ("budget", "budget")
    assert number >= 7


def test_retry_after_is_heeded_by_all(pytester: pytest.Pytester) -> None:
    make_project(pytester, NAMES)
    asked: list[float] = []

    def respond(body: dict[str, Any]) -> Answer:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return Answer("slow down", status=429, headers={"Retry-After": "2"})
        return Answer(FINAL, delay_s=0.2)

    with LoopbackServer(respond, models=["tiny"]) as server:
        args = ["--model=openai:tiny", f"--base-url={server.url}", "--concurrency=2", "--test-policy=never"]
        run(pytester, *args, "--retries=0").assert_outcomes(passed=8)
    assert len([at for at in asked if at < asked[0] + 1.9]) <= 2  # one more was under way
