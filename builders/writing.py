"""The rows of a dataset into files, by one process or shared out between several.

A process that shares selects for itself, which needs no more talk between them than what they counted, and writes the
rows of its part of the rollouts; the parts are then put together in order.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb

from builders import formats, lineage, selection
from builders.arguments import Order
from builders.plan import Plan, val_families
from builders.progress import progress
from builders.statistics import Statistics
from builders.tokens import TokenCounter
from pytest_repoagent.errors import InfrastructureError
from pytest_repoagent.store import reader

SHARED_FROM_STEPS = 50_000
"""Fewer are selected and written by one process before another one is up."""
_BUFFER = 1 << 20
_TOLD_EVERY = 200  # rows: telling the progress bar of one costs as much as writing it

MakePlan = Callable[[duckdb.DuckDBPyConnection], Plan]


@dataclass
class Written:
    """What is in the files.

    Attributes:
        sides: what is in ``train`` and in ``val``.
        refused: steps left out while rows were made.
        costs: as in :class:`builders.plan.Plan`.
    """

    sides: dict[str, Statistics] = field(default_factory=lambda: {side: Statistics() for side in ("train", "val")})
    refused: Counter[str] = field(default_factory=Counter)
    costs: Counter[str] = field(default_factory=Counter)

    def add(self, other: Written) -> None:
        """Take in what another process wrote after this."""
        for side, statistics in other.sides.items():
            self.sides[side].add_all(statistics)
        self.refused += other.refused
        self.costs += other.costs


@dataclass(frozen=True)
class Share:
    """One process's part of the work: share ``index`` of ``of``, written into ``place``."""

    order: Order
    place: Path
    index: int
    of: int

    def lines(self, what: str) -> Path:
        """Its file of ``train``, ``val`` or ``lineage`` lines."""
        return self.place / f"{what}.{self.index}.lines"


def processes_for(order: Order) -> int:
    """How many processes should share the work."""
    with closing(reader.connect(order.store)) as connection:
        [(steps,)] = connection.execute("SELECT count(*) FROM steps").fetchall()
    return min(2, os.cpu_count() or 1) if steps >= SHARED_FROM_STEPS else 1


def write_rows(share: Share, plan: Plan, counter: TokenCounter) -> Written:
    """Write the lines of the plan's rows: train, val and lineage."""
    val = val_families(plan.families, share.order.val_fraction)
    written = Written()
    before = plan.dropped.copy()
    with ExitStack() as stack:
        stack.enter_context(_no_collector())
        outputs = {side: stack.enter_context(share.lines(side).open("wb", _BUFFER)) for side in written.sides}
        origins = stack.enter_context(share.lines("lineage").open("w", _BUFFER, encoding="utf-8"))
        advance = stack.enter_context(progress("writing", plan.total // share.of if share.index == 0 else None))
        for number, example in enumerate(plan.rows, 1):
            side = "val" if example.state.family in val else "train"
            outputs[side].write(formats.line(example, share.order.format))
            written.sides[side].add(example, counter)
            origins.write(lineage.line(side, written.sides[side].rows, example))
            if number % _TOLD_EVERY == 0:
                advance(_TOLD_EVERY)
    written.refused = plan.dropped - before
    written.costs = plan.costs
    return written


@contextmanager
def others(order: Order, make_plan: MakePlan, place: Path, of: int) -> Iterator[list[Connection]]:
    """The processes that write all shares but the first; each will send what it has written, or an error."""
    context = multiprocessing.get_context("spawn")
    ends: list[Connection] = []
    workers = []
    try:
        for index in range(1, of):
            end, its_end = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work, args=(Share(order, place, index, of), make_plan, its_end), daemon=True
            )
            with _uninterrupted():
                worker.start()
            its_end.close()
            ends.append(end)
            workers.append(worker)
        yield ends
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


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


def put_together(order: Order, place: Path, written: list[Written]) -> Written:
    """Make ``train.lines``, ``val.lines`` and ``lineage.parquet`` of all shares'."""
    shares = [Share(order, place, index, len(written)) for index in range(len(written))]
    total = Written()
    parts = []
    for share, part in zip(shares, written, strict=True):
        parts.append((share.lines("lineage"), {side: statistics.rows for side, statistics in total.sides.items()}))
        total.add(part)
    with ThreadPoolExecutor(1) as beside:
        origins = beside.submit(lineage.write_parquet, parts, place / lineage.FILE)
        for side in total.sides:
            _append(shares[0].lines(side), [share.lines(side) for share in shares[1:]])
            shares[0].lines(side).rename(place / f"{side}.lines")
        origins.result()
    for share in shares:
        share.lines("lineage").unlink()
    return total


def _append(first: Path, others: list[Path]) -> None:
    with first.open("ab") as output:
        for other in others:
            with other.open("rb") as more:
                shutil.copyfileobj(more, output, _BUFFER)
            other.unlink()


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
            plan = make_plan(connection)
            selection.take_share(connection, share.index, share.of)
            result = write_rows(share, plan, TokenCounter(share.order.tokenizer))
    except Exception as error:
        result = error
    end.send(result)
