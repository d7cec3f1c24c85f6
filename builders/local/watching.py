"""What is told of a training while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any, Self

from transformers import TrainerCallback

from builders.progress import progress
from pytest_repoagent.errors import UsageError

_TELLINGS = 10


class Watcher(TrainerCallback):  # type: ignore[misc]
    """Shows a progress bar for as long as it is entered, and says ten times how far the training is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._bar = ExitStack()
        self._advance: Callable[[int], None] = lambda steps: None
        self._begun = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Begin to count."""
        if state.is_world_process_zero:
            self._advance = self._bar.enter_context(progress("training", state.max_steps))
        self._begun = monotonic()
        rows = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        self._say(f"{state.max_steps:,} steps of {rows:,} rows on {args.world_size} x {args.device.type}")

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Count."""
        self._advance(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **rest: Any) -> None:
        """Say it.

        Raises:
            UsageError: the loss is no number any more.
        """
        step, steps = state.global_step, state.max_steps
        for name in ("loss", "eval_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise UsageError(f"the {name} is {logs[name]} after step {step} of {steps}; lower --learning-rate")
        if "eval_loss" in logs:
            self._say(f"step {step:,} of {steps:,}: loss on the validation file {logs['eval_loss']:.4f}")
        elif "loss" in logs and step * _TELLINGS // steps != (step - 1) * _TELLINGS // steps:
            left_s = (monotonic() - self._begun) / step * (steps - step)
            self._say(f"step {step:,} of {steps:,}: loss {logs['loss']:.4f}, {_spell(left_s)} left")


def _spell(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
