from __future__ import annotations

import signal
import threading
import time

import pytest
from process_kit import eventually

from pytest_repoagent.waiting import Stopwatch, Turns


def test_the_lock_is_given_in_the_order_of_asking_to_one_at_a_time() -> None:
    turns = Turns()
    given: list[int] = []
    inside = threading.Lock()

    def ask(number: int) -> None:
        with turns:
            assert inside.acquire(blocking=False)
            given.append(number)
            inside.release()

    threads = []
    with turns:
        for number in range(8):
            threads.append(threading.Thread(target=ask, args=(number,)))
            threads[-1].start()
            assert eventually(lambda: len(turns._queue) == len(threads))
    for thread in threads:
        thread.join()
    assert given == list(range(8))


def test_an_interrupted_wait_holds_nobody_up() -> None:
    turns = Turns()
    released = threading.Event()

    def hold() -> None:
        with turns:
            assert eventually(lambda: turns._queue)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            released.wait(20)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert eventually(lambda: turns._taken)
        with pytest.raises(KeyboardInterrupt), turns:
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)
        released.set()
        holder.join()
    with turns:
        assert not turns._queue


def test_a_stopped_watch_stands_still() -> None:
    watch = Stopwatch()
    with watch.stopped():
        time.sleep(0.2)
        shown = watch.seconds
    assert 0 <= watch.seconds < shown
