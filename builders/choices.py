"""What may be chosen for a dataset: the rules behind the options, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RolloutRules:
    """Which rollouts may be used.

    Attributes:
        require_success: only those whose last test run passed.
        models: specs; empty for every model.
        runs: run ids; empty for every run.
    """

    require_success: bool = True
    models: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRules:
    """Which of their steps are examples, and what each weighs.

    Attributes:
        require_strict: only replies that were exactly one action; else repaired ones that were executed too.
        require_valid_tool_ok: only calls whose tool did its work, besides finals.
        loops: also steps that repeat an earlier one or ask for nothing new.
        unchanged_writes: also writes that change nothing.
        bad_content: also writes of elided or fenced content, or of Python that does not compile.
        recovery: also steps right after a refused or invalid one.
        include_final: also finals; those before any write are never examples.
        where: SQL condition on steps ``s`` and rollouts ``r``.
        dedup: one example of equal actions at equal states, of a success and of the first in order.
        max_per_slot: examples of one task, step index and tool, from the shortest rollouts; 0 for no bound.
        max_per_task: examples of one task, from the shortest rollouts; 0 for no bound.
        fail_weight: weight of a step of a rollout without success, where those of a success have 1.
        duplicate_weight: ``one``, or what a deduplicated example's weight is multiplied by: ``sqrt`` of how often it
            occurred, or that ``count``.
        balance: ``task`` or ``tool`` makes the examples of each weigh the same in sum; ``none``.
    """

    require_strict: bool = True
    require_valid_tool_ok: bool = True
    loops: bool = False
    unchanged_writes: bool = False
    bad_content: bool = False
    recovery: bool = True
    include_final: bool = True
    where: str = "true"
    dedup: bool = True
    max_per_slot: int = 3
    max_per_task: int = 0
    fail_weight: float = 0.3
    duplicate_weight: str = "one"
    balance: str = "none"
