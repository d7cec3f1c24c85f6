"""A training on this machine, from the files to the folder of a model and its row in the store."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from accelerate import PartialState

from builders import folder
from builders.local import outcome
from builders.local.base import open_base
from builders.local.chat import Chat
from builders.local.data import Bound, Rows, read
from builders.local.trainers import trainer
from builders.local.watching import Watcher
from builders.signals import handled, interrupt
from builders.tuning.data import Data, File
from builders.tuning.request import Hyperparameters, Method
from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import UsageError
from pytest_repoagent.store import jobs

PROVIDER = "local"
_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)


@dataclass(frozen=True)
class Order:
    """What to train.

    Attributes:
        model: a folder, or a name on the hub.
        micro_batch_size: rows at once on a device.
        max_length: longer rows, in tokens, are left out; None to have none left out.
    """

    method: Method
    data: Data
    model: str
    how: Hyperparameters
    micro_batch_size: int
    max_length: int | None


class Training:
    """An order whose rows are read and fit the model.

    Attributes:
        job_id: a hash of all that shapes the outcome.
    """

    def __init__(self, order: Order, say: Callable[[str], None]) -> None:
        """Read the model's tokenizer and the rows.

        Raises:
            UsageError: the model or a row is not fit for it.
        """
        self._order = order
        self._say = say
        self._base = open_base(order.model)
        self._chat = Chat(self._base.tokenizer, order.model)
        self._train = self._read(order.data.train)
        self._val = self._read(order.data.val) if order.data.val else None
        self._request = self._make_request()
        self.job_id = f"local-{order.method}-{canonical_sha256(self._request)[:12]}"

    def summary(self) -> dict[str, Any]:
        """What is known before it is trained."""
        return {
            "job_id": self.job_id,
            "request": self._request,
            "rows": len(self._train.rows),
            "rows_left_out": self._train.too_long,
            "longest_row_tokens": self._train.longest,
            "tokens_per_epoch": self._train.tokens,
            "tokens_with_loss_per_epoch": self._train.learned,
        }

    def run(self, out: Path, store: Path) -> None:
        """Train, write the model's folder, and record it; of several processes only the main one writes.

        Raises:
            UsageError: ``out`` is something else, or there is too little memory.
            InfrastructureError: the disk failed, or the store cannot be written.
            KeyboardInterrupt: nothing is left of it but its row.
        """
        if outcome.trained(out) == self.job_id:
            self._say(f"{out} is the outcome of this very training already; nothing was done")
            return
        if out.exists():
            raise UsageError(f"--out: {out} exists already, and not from this training; name another folder")
        with handled(interrupt):
            if PartialState().is_main_process:
                self._run(out, store)
            else:
                self._fit(None)

    def _run(self, out: Path, store: Path) -> None:
        jobs.submitted(store, self._submission(), self._sighting("running"))
        try:
            with folder.unfinished(out, replace=False) as place:
                figures = self._fit(place)
        except KeyboardInterrupt:
            jobs.seen(store, self._sighting("cancelled"))
            raise
        except Exception as error:
            jobs.seen(store, self._sighting("error", error=str(error)))
            raise
        done = self._sighting("completed", output_name=str(out.absolute()), figures=json.dumps(figures))
        jobs.seen(store, done)

    def _read(self, file: File) -> Rows:
        bound = Bound(self._base.context, self._order.max_length)
        rows = read(file, self._order.method, self._chat, bound)
        left_out = f"; {rows.too_long:,} longer than {bound.chosen:,} were left out" if rows.too_long else ""
        self._say(f"{file.path.name}: {len(rows.rows):,} rows of at most {rows.longest:,} tokens{left_out}")
        return rows

    def _fit(self, place: Path | None) -> dict[str, Any]:
        """Train, and save into ``place`` where there is one; returns the figures."""
        order = self._order
        begun = monotonic()
        with tempfile.TemporaryDirectory() as work, Watcher(self._say) as watcher, self._enough_memory():
            fitting = trainer(
                order.method,
                self._base.weights(order.how.training.type == "Full"),
                self._base.tokenizer,
                (self._train.rows, self._val.rows if self._val else None),
                order.how,
                order.micro_batch_size,
                Path(work),
                watcher,
            )
            fitting.train()
        figures = {**self.summary(), **outcome.figures(fitting), "train_s": round(monotonic() - begun, 1)}
        if place is not None:
            outcome.save(fitting, self._base, self._chat.end, place)
            outcome.record(place, figures)
        return figures

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _MEMORY.search(str(error)):
                raise
            smaller = "lower --micro-batch-size" if self._order.micro_batch_size > 1 else "lower --max-length"
            full = " or leave --full out" if self._order.how.training.type == "Full" else ""
            raise UsageError(
                f"the memory does not suffice for {self._order.micro_batch_size} rows of up to {self._train.longest:,} "
                f"tokens at once ({str(error).partition(chr(10))[0]}); {smaller}{full}"
            ) from None

    def _make_request(self) -> dict[str, Any]:
        order = self._order
        return {
            "trainer": "trl",
            "method": order.method,
            "model": order.model,
            "model_sha256": self._base.sha256,
            "training_file": f"sha256:{order.data.train.sha256}",
            "validation_file": f"sha256:{order.data.val.sha256}" if order.data.val else None,
            **order.how.model_dump(exclude_none=True),
            "micro_batch_size": order.micro_batch_size,
            "max_length": order.max_length,
        }

    def _sighting(
        self, status: str, output_name: str | None = None, figures: str | None = None, error: str | None = None
    ) -> jobs.Sighting:
        return jobs.Sighting(
            job_id=self.job_id,
            provider=PROVIDER,
            status=status,
            base_model=self._order.model,
            output_name=output_name,
            figures=figures,
            error=error,
        )

    def _submission(self) -> jobs.Submission:
        train, val = self._order.data.train, self._order.data.val
        return jobs.Submission(
            job_id=self.job_id,
            provider=PROVIDER,
            method=self._order.method,
            base_model=self._order.model,
            from_job=outcome.trained(Path(self._order.model)),
            name=self.job_id,
            train_path=str(train.path.absolute()),
            train_sha256=train.sha256,
            train_file_id=None,
            val_path=str(val.path.absolute()) if val else None,
            val_sha256=val.sha256 if val else None,
            val_file_id=None,
            request=json.dumps(self._request),
            estimate_usd=None,
            estimate_tokens=self._train.tokens * self._order.how.n_epochs,
            submitted_at=datetime.now(UTC).replace(tzinfo=None),
        )
