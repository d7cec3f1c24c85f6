"""What a training example is: a state, and the next action there; a pair has one to prefer and one to avoid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pytest_repoagent.protocol.actions import Message


class State(NamedTuple):
    """What a model is asked with, and where that was recorded.

    Attributes:
        messages: the prompt, from the system message to a user's.
        state_hash: ``prompt_sha256`` of the recorded prompt.
        prompt_sha256: of ``messages``; another than ``state_hash`` where they were rendered differently.
        rollout_id, run_id, step: the recorded step whose prompt this is.
        task_id, family, model: of that rollout.
    """

    messages: tuple[Message, ...]
    state_hash: str
    prompt_sha256: str
    rollout_id: str
    run_id: str
    step: int
    task_id: str
    family: str
    model: str


class SftRow(NamedTuple):
    """A state and the action to learn there; in trajectory rows, the actions before it too.

    Attributes:
        target: canonical JSON text of the action.
        weight: what the row's loss is multiplied by.
        tags: facts worth counting, such as ``recovery:not_found``.
        trained: positions in ``state.messages`` of further assistant messages to learn; empty in rows of one step.
            The messages there are canonical JSON text too, in place of the recorded spelling.
    """

    state: State
    target: str
    weight: float
    tags: tuple[str, ...] = ()
    trained: tuple[int, ...] = ()

    def weighted(self) -> Iterator[tuple[Message, int]]:
        """Every message of the row, the target last, with its weight: 1 where it is learned, else 0."""
        trained = set(self.trained)
        for position, message in enumerate(self.state.messages):
            yield message, int(position in trained)
        yield {"role": "assistant", "content": self.target}, 1


@dataclass(frozen=True)
class Pair:
    """A state with an action to prefer and one to avoid.

    Attributes:
        preferred: canonical JSON text of an action, or the text to prefer where the construction compares other text.
        rejected: the same, or the raw reply where it is no action.
        construction: how the pair was made, such as ``same_state``.
        tags: facts worth counting, such as ``code:missing_required``.
        margin: by how much the rubric or the tests prefer one; None where the construction does not score.
        weight: what the row's loss is multiplied by.
    """

    state: State
    preferred: str
    rejected: str
    construction: str
    tags: tuple[str, ...] = ()
    margin: float | None = None
    weight: float = 1.0


Example = SftRow | Pair
