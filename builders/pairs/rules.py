"""What may be chosen for preference pairs: the rules behind the options, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pytest_repoagent.errors import UsageError

CONSTRUCTIONS = ("same_state", "student_best_worst", "corruption", "rollouts")
Output = Literal["action", "last_write", "patch", "tail"]
OUTPUTS: tuple[Output, ...] = get_args(Output)


@dataclass(frozen=True)
class PairRules:
    """How pairs are made, and which are good.

    Attributes:
        mix: construction -> its share of all pairs; every share None for all pairs that there are.
        max_pairs: in all; 0 for any number.
        students: whose branches are used; empty for everybody's.
        like_model: whose recorded mistakes corruptions are drawn from; None to draw all alike.
        corruptions: of one action.
        seed: of corruptions.
        rollout_output: what the sides of a pair of rollouts say: ``action``, what each did at that state;
            ``last_write``, each one's last executed ``write_file``, at the state of the better one's; ``patch``, each
            one's unified diff; ``tail``, the last turns of each.
        tail_turns: how many turns a tail has.
        min_margin: points by which the better side must be better.
        max_length_bias: share of a construction's pairs that may have the longer text on the same side.
    """

    mix: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(CONSTRUCTIONS))
    max_pairs: int = 0
    students: tuple[str, ...] = ()
    like_model: str | None = None
    corruptions: int = 1
    seed: int = 0
    rollout_output: Output = "action"
    tail_turns: int = 3
    min_margin: float = 1.0
    max_length_bias: float = 0.6


def parse_mix(text: str) -> dict[str, float | None]:
    """``same_state=0.4,corruption=0.6``, or names alone for all pairs that there are.

    Raises:
        UsageError: it is neither.
    """
    mix: dict[str, float | None] = {}
    for part in text.split(","):
        name, given, share = (word.strip() for word in part.partition("="))
        try:
            value = float(share) if given else None
        except ValueError:
            value = -1.0
        if name not in CONSTRUCTIONS or name in mix or (value is not None and not 0 < value <= 1):
            raise UsageError(
                f"--mix={text}: {part.strip()!r} is wrong; write NAME=SHARE, shares above 0 and at most 1, or NAME "
                f"alone, each once, of {', '.join(CONSTRUCTIONS)}"
            )
        mix[name] = value
    if len({value is None for value in mix.values()}) > 1:
        raise UsageError(f"--mix={text}: either every construction has a share, or none")
    return mix
