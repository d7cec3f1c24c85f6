"""The rows of a dataset into files, by one process or shared out between several.

A process that shares selects for itself, which needs no more talk between them than what they counted, and writes every
other part of the rows.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb

from builders import formats, lineage, selection
from builders.arguments import Order
from builders.plan import Plan, val_families
from builders.progress import progress
from builders.relay import Baton, Parts
from builders.statistics import Statistics
from builders.tokens import TokenCounter
from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.store import reader

SIDES = ("train", "val")
FILES = tuple(f"{side}.{what}" for what in ("lines", "lineage") for side in SIDES)
SHARED_FROM_STEPS = 50_000
"""Fewer are selected and written by one process before another one is up."""
_TOLD_EVERY = 200  # rows: telling the progress bar of one costs as much as writing it

MakePlan = Callable[[duckdb.DuckDBPyConnection], Plan]


@dataclass
class Written:
    """What a process has written.

    Attributes:
        sides: what is in ``train`` and in ``val``.
        refused: steps left out while rows were made.
        costs: as in :class:`builders.plan.Plan`.
    """

    sides: dict[str, Statistics] = field(default_factory=lambda: {side: Statistics() for side in SIDES})
    refused: Counter[str] = field(default_factory=Counter)
    costs: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Share:
    """One process's part of the work: of the plan's parts each one that is ``index`` when counted in rounds of ``of``.

    Attributes:
        place: the folder, with the ``FILES`` in it.
        before, after: ends of the relay's ring.
    """

    order: Order
    place: Path
    index: int
    of: int
    before: Connection
    after: Connection


def processes_for(order: Order) -> int:
    """How many processes should share the work."""
    with closing(reader.connect(order.store)) as connection:
        [(steps,)] = connection.execute("SELECT count(*) FROM steps").fetchall()
    return min(2, os.cpu_count() or 1) if steps >= SHARED_FROM_STEPS else 1


def write_rows(share: Share, plan: Plan, counter: TokenCounter) -> Written:
    """Write the lines of the share's rows into the ``FILES``.

    Raises:
        Abandoned: another process has ended before its time.
    """
    val = val_families(plan.families, share.order.val_fraction)
    written = Written()
    dropped = plan.dropped.copy()
    baton = Baton(share.before, share.after, None if share.index else [0] * len(FILES))
    rows = 0
    with ExitStack() as stack:
        stack.enter_context(_no_collector())
        files = [stack.enter_context((share.place / name).open("r+b")) for name in FILES]
        advance = stack.enter_context(progress("writing", plan.total // share.of if share.index == 0 else None))
        parts = Parts(files, baton)
        for number in range(share.index, len(plan.parts), share.of):
            for example in plan.parts[number]:
                side = int(example.state.family in val)
                parts.add(side, formats.line(example, share.order.format))
                parts.add(len(SIDES) + side, lineage.line(example))
                written.sides[SIDES[side]].add(example, counter)
                rows += 1
                if rows % _TOLD_EVERY == 0:
                    advance(_TOLD_EVERY)
            parts.end(last=number + 1 == len(plan.parts))
    written.refused = plan.dropped - dropped
    written.costs = plan.costs
    return written


@contextmanager
def shares(order: Order, make_plan: MakePlan, place: Path, of: int) -> Iterator[tuple[Share, list[Connection]]]:
    """This process's share, and where each process with another one will send what it has written, or an error."""
    context = multiprocessing.get_context("spawn")
    ring = [context.Pipe(duplex=False) for _ in range(of)]
    own, *more = [Share(order, place, index, of, ring[index - 1][0], ring[index][1]) for index in range(of)]
    for name in FILES:
        (place / name).touch()
    ends: list[Connection] = []
    workers = []
    try:
        for share in more:
            end, its_end = context.Pipe(duplex=False)
            worker = context.Process(target=_work, args=(share, make_plan, its_end), daemon=True)
            with _uninterrupted():
                worker.start()
            for gone in (its_end, share.before, share.after):
                gone.close()
            ends.append(end)
            workers.append(worker)
        yield own, ends
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        for mine in (own.before, own.after, *ends):
            mine.close()


def receive(end: Connection) -> Written:
    """What another process has written.

    Raises:
        RepoAgentError: it failed.
    """
    try:
        result = end.recv()
    except EOFError:
        raise InfrastructureError("a process that wrote rows was killed; is there too little memory?") from None
    if isinstance(result, Exception):
        raise result
    assert isinstance(result, Written)
    return result


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's search for reference cycles: rows have none, and it looks at all that is remembered."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits, and never reaches a process that is started here: the one that was asked to stop ends it."""
    resource_tracker.ensure_running()  # starting it later would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(share: Share, make_plan: MakePlan, end: Connection) -> None:
    result: Written | Exception
    try:
        with selection.open_store(share.order.store, share.place / f"spill{share.index}") as connection:
            result = write_rows(share, make_plan(connection), TokenCounter(share.order.tokenizer))
    except Exception as error:
        result = error
    with suppress(BrokenPipeError):  # the process that asked for it is gone
        end.send(result)
