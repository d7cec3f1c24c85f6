"""Answers from a recorded run, step by step: ``replay:RUN_ID``, ``replay:last`` or ``replay:PATH``.

``@MODEL`` behind it chooses among several recorded models: ``replay:last@together:ORG/NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_repoagent import trace
from pytest_repoagent.errors import ModelConfigError, OutOfReplies, ProviderError
from pytest_repoagent.fold import fold
from pytest_repoagent.models.base import Conversation, Model, ModelContext, Reply, RolloutKey, Usage
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.rollout import Rollout


def create(name: str, context: ModelContext) -> Model:
    """Read the finished rollouts of a recording: a run's folder, or any folder or file of traces.

    ``last`` is the newest run in ``context.trace_root`` that was no replay itself. Of several attempts the last one
    answers, and one that ended in provider or infrastructure trouble only where there is no other.

    Raises:
        ModelConfigError: there is no such recording, nothing finished in it, it holds several models and none was
            chosen, or a file in it is no trace.
    """
    path, model = _locate(name, context.trace_root)
    rollouts = list(_finished(path))
    if not rollouts:
        raise ModelConfigError(f"replay:{name} has no finished rollout in {path}: record a run first.")
    models = sorted({rollout.model for rollout in rollouts})
    if model not in models and (model or len(models) > 1):
        raise ModelConfigError(f"replay:{name} must choose one model of {path} with @MODEL: {', '.join(models)}.")
    chosen = [rollout for rollout in rollouts if model in ("", rollout.model)]
    chosen.sort(key=lambda rollout: (rollout.counted, rollout.attempt, rollout.started_at))
    return _Recording(path, {(rollout.task_id, rollout.index): rollout for rollout in chosen})


@dataclass(frozen=True)
class _Recording:
    path: Path
    rollouts: Mapping[tuple[str, int], Rollout]

    def check(self) -> None:
        """Nothing is left to check: the recording was read when the model was built."""

    def start(self, key: RolloutKey) -> Conversation:
        rollout = self.rollouts.get((key.task_id, key.index))
        if rollout is not None:
            return _Playback(rollout)
        indexes = sorted(index for task_id, index in self.rollouts if task_id == key.task_id)
        has = f"only rollouts {', '.join(map(str, indexes))}" if indexes else "no rollout"
        return _Absent(f"{self.path} has {has} of {key.task_id}, so rollout {key.index} cannot be replayed.")


@dataclass
class _Playback:
    rollout: Rollout
    played: int = 0

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The next recorded reply, whatever ``messages`` say."""
        if self.played == self.rollout.steps:
            if not self.rollout.counted:
                raise ProviderError(f"The recorded rollout ended in {self.rollout.outcome}: {self.rollout.trace_path}.")
            raise OutOfReplies(f"{self.rollout.trace_path} has {self.played} replies, and one more is asked for.")
        step = self.rollout.trajectory[self.played]
        self.played += 1
        usage = None
        if step.prompt_tokens is not None and step.completion_tokens is not None:
            usage = Usage(step.prompt_tokens, step.completion_tokens)
        return Reply(step.raw, step.finish_reason, usage, {"replayed_from": self.rollout.rollout_id})


@dataclass(frozen=True)
class _Absent:
    reason: str

    def reply(self, messages: Sequence[Message]) -> Reply:
        raise ProviderError(self.reason)


def _locate(name: str, trace_root: Path) -> tuple[Path, str]:
    """The recording and the chosen model (or ""); a path may hold an ``@`` itself, so the longest one that exists."""
    cuts = [i for i, char in enumerate(name) if char == "@"]
    for cut in reversed([*cuts, len(name)]):
        where, model = name[:cut], name[cut + 1 :]
        if where == "last":
            return _newest(trace_root), model
        for path in (trace_root / where, Path(where)):
            if where and path.exists():
                return path, model
    raise ModelConfigError(
        f"replay:{name} is no recording: give a run id in {trace_root}, last, or the path of a folder or a trace."
    )


def _finished(path: Path) -> Iterator[Rollout]:
    for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
        try:
            events = list(trace.read(file))
            if any(event["kind"] == "run_end" for event in events):
                yield fold(events, str(file))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ModelConfigError(f"{file} is no trace ({type(error).__name__}: {error}).") from None


def pin(spec: str, trace_root: Path) -> str:
    """The spec with ``last`` spelled out, so that every process, and the record, names one recording.

    Raises:
        ModelConfigError: there is no recorded run.
    """
    return re.sub(r"(^|:)replay:last(?=$|@)", lambda m: f"{m[1]}replay:{_newest(trace_root).name}", spec)


def _newest(trace_root: Path) -> Path:
    started: dict[Path, str] = {}
    replays = set()
    for file in trace_root.glob("*/*.jsonl"):
        event = next(trace.read(file), None)
        if event is None or event["kind"] != "run_start":
            continue
        started[file.parent] = max(started.get(file.parent, ""), event["ts"])
        if re.search(r"(^|:)replay:", event["model"]):
            replays.add(file.parent)
    runs = started.keys() - replays
    if not runs:
        raise ModelConfigError(f"replay:last finds no recorded run in {trace_root}: record one first.")
    return max(runs, key=lambda run: started[run])
