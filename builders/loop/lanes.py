"""Where a loop tunes, and how what came of it is asked: at Together, or on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

Command = list[str]

MODEL = "{model}"
"""Stands for the model to ask in the words of a run."""


class Lane(Protocol):
    """Commands of one place to tune at; :data:`MODEL` in the words of a run becomes the model that it is to ask.

    Attributes:
        paid: whether tuning and what is tuned cost money there.
    """

    paid: ClassVar[bool]

    def base(self, run: Sequence[str]) -> Command:
        """Ask the model that is tuned, as it is before; a run that names another model is left as it is."""
        ...

    def tuned(self, method: str, job: str, run: Sequence[str], left_usd: float | None) -> Command:
        """Ask what came out of a job."""
        ...

    def tune(self, method: str, data: Path, parent: str | None, left_usd: float | None) -> Command:
        """Train on a dataset, from the model or from where the SFT job ``parent`` ended."""
        ...


@dataclass(frozen=True)
class Together:
    """Jobs and endpoints at Together.

    Attributes:
        model: its name there.
        serve_for: the longest that an endpoint may be up, as ``--for`` takes it.
    """

    model: str
    serve_for: str
    paid: ClassVar[bool] = True

    def base(self, run: Sequence[str]) -> Command:
        """See :class:`Lane`."""
        return list(run)

    def tuned(self, method: str, job: str, run: Sequence[str], left_usd: float | None) -> Command:
        """See :class:`Lane`."""
        bounds = ["--for", self.serve_for, *_at_most(left_usd)]
        return ["repoagent", "tune", "deploy", job, *bounds, "--run", _line(run)]

    def tune(self, method: str, data: Path, parent: str | None, left_usd: float | None) -> Command:
        """See :class:`Lane`."""
        start = ["--from-job", parent] if parent else ["--model", self.model]
        return ["repoagent", "tune", "together", method, str(data), *start, *_at_most(left_usd), "--watch"]


@dataclass(frozen=True)
class Local:
    """Trainings and servers on this machine.

    Attributes:
        model: a folder.
        out: where the folders of models are made; its name begins theirs.
    """

    model: str
    out: Path
    paid: ClassVar[bool] = False

    def base(self, run: Sequence[str]) -> Command:
        """See :class:`Lane`."""
        if not any(MODEL in word for word in run):
            return list(run)
        return ["repoagent", "serve", self.model, "--run", _line(run)]

    def tuned(self, method: str, job: str, run: Sequence[str], left_usd: float | None) -> Command:
        """See :class:`Lane`."""
        return ["repoagent", "serve", self._folder(method), "--run", _line(run)]

    def tune(self, method: str, data: Path, parent: str | None, left_usd: float | None) -> Command:
        """See :class:`Lane`."""
        start = self._folder("sft") if parent else self.model
        return ["repoagent", "tune", "local", method, str(data), "--model", start, "--out", self._folder(method)]

    def _folder(self, method: str) -> str:
        return str(self.out / f"{self.out.name}-{method}")


def _line(run: Sequence[str]) -> str:
    """The words for a shell; :data:`MODEL` needs no quotes there."""
    return " ".join(word if word.removeprefix("--model=") == MODEL else shlex.quote(word) for word in run)


def _at_most(usd: float | None) -> Command:
    return ["--max-usd", "USD" if usd is None else f"{usd:.4f}"]
