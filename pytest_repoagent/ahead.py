"""Rollouts in flight while pytest's items, one after the other, wait for theirs.

Every process of a run that may have more than one rollout in flight goes through the rollouts of all selected items,
in their order, and starts what nobody has started yet. An item whose rollout is in flight waits for it, wherever it
runs; so it does not matter which items xdist gives to which worker.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterable

from pytest_repoagent.errors import UsageError
from pytest_repoagent.models.base import RolloutKey
from pytest_repoagent.stopping import Stopped, StopSign

_LOOK_S = 0.1
_FILES_PER_ROLLOUT = 4  # its lock, its trace, its connection, and one to spare
_FILES_BESIDE = 200


class Ahead:
    """Threads that run rollouts: first those that an item waits for. They die with the process."""

    def __init__(
        self, run: Callable[[RolloutKey, bool], None], keys: Iterable[RolloutKey], threads: int, stop: StopSign
    ) -> None:
        """Start: ``run(key, wanted)`` is called with each key, in order, by one of ``threads`` threads."""
        self._run = run
        self._stop = stop
        self._todo = dict.fromkeys(keys)
        self._wanted: dict[RolloutKey, None] = {}
        self._in_hand: set[RolloutKey] = set()
        self._failures: dict[RolloutKey, Exception] = {}
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name="repoagent", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def want(self, key: RolloutKey) -> None:
        """Have this one run next, and again if it was run before.

        Raises:
            Exception: what kept it from being run: its trace cannot be written, for example. It is told once.
        """
        with self._changed:
            if key in self._failures:
                raise self._failures.pop(key)
            if key not in self._in_hand:
                self._todo.pop(key, None)
                self._wanted[key] = None
                self._changed.notify()

    def finish(self) -> None:
        """Wait until all is run, or the session is stopped."""
        self.close()
        for thread in self._threads:
            while thread.is_alive() and not self._stop.is_up:
                thread.join(_LOOK_S)

    def close(self) -> None:
        """Nothing more will be wanted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while found := self._next():
            key, wanted = found
            try:
                self._stop.heed()
                self._run(key, wanted)
            except Stopped:
                return
            except Exception as error:
                self._failures[key] = error
            finally:
                self._in_hand.discard(key)

    def _next(self) -> tuple[RolloutKey, bool] | None:
        with self._changed:
            while not (self._wanted or self._todo):
                if self._closed:
                    return None
                self._changed.wait()
            wanted = bool(self._wanted)
            queue = self._wanted if wanted else self._todo
            key = next(iter(queue))
            del queue[key]
            self._in_hand.add(key)
            return key, wanted


def allow_open_files(rollouts: int) -> None:
    """Let this process and those that it will start have so many rollouts in flight.

    Raises:
        UsageError: this machine does not let a process have so many files open.
    """
    need = rollouts * _FILES_PER_ROLLOUT + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        raise UsageError(
            f"--concurrency={rollouts} needs {need} open files, and a process may have {hard} here: ask for fewer, or "
            f"raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
