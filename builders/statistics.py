"""What a dataset is like: counted while it is written, in memory that grows by two numbers a row."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from builders.examples import Example, Pair, SftRow
from builders.tokens import TokenCounter

_CALL = '{"type":"tool_call","name":"'

Kind = tuple[str, str, int, str, tuple[str, ...]]


@dataclass
class Statistics:
    """Counts over the rows of one file.

    ``kinds`` counts rows by model, action of the target or the preferred side, step, construction, and tags.
    """

    tokens: array[int] = field(default_factory=lambda: array("I"))
    weights: array[float] = field(default_factory=lambda: array("d"))
    learned_tokens: int = 0
    longer_preferred: int = 0
    length_delta: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    families: set[str] = field(default_factory=set)
    kinds: Counter[Kind] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.tokens)

    def add(self, example: Example, counter: TokenCounter) -> None:
        """Count one row, its tokens with ``counter``."""
        state = example.state
        self.weights.append(example.weight)
        self.tasks[state.task_id] += 1
        self.families.add(state.family)
        prompt = counter.messages(state.messages)
        if isinstance(example, SftRow):
            target = counter.text(example.target)
            learned = sum([counter.text(state.messages[at]["content"]) for at in example.trained])
            self._tokens(prompt + target, target + learned)
            said = example.target
        else:
            self._pair(example, prompt, counter)
            said = example.preferred
        self.kinds[state.model, action(said), state.step, construction(example), example.tags] += 1

    def add_all(self, other: Statistics) -> None:
        """Count the rows that another one counted."""
        for each in fields(self):
            mine, others = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, set):
                mine |= others
            elif isinstance(mine, Counter):
                mine.update(others)
            else:
                setattr(self, each.name, mine + others)

    def _pair(self, pair: Pair, prompt: int, counter: TokenCounter) -> None:
        preferred, rejected = counter.text(pair.preferred), counter.text(pair.rejected)
        self._tokens(2 * prompt + preferred + rejected, preferred + rejected)
        self.longer_preferred += len(pair.preferred) > len(pair.rejected)
        self.length_delta += len(pair.preferred) - len(pair.rejected)

    def _tokens(self, row: int, learned: int) -> None:
        self.tokens.append(row)
        self.learned_tokens += learned

    def _by(self, part: int) -> Counter[Any]:
        counts: Counter[Any] = Counter()
        for kind, rows in self.kinds.items():
            counts[kind[part]] += rows
        return counts

    def to_json(self) -> dict[str, Any]:
        """All of it, for the manifest; of tasks only how many."""
        ordered = sorted(self.tokens)
        models, actions, steps, constructions = (self._by(part) for part in range(4))
        tags: Counter[str] = Counter()
        for (*_, tagged), rows in self.kinds.items():
            tags.update(dict.fromkeys(tagged, rows))
        out: dict[str, Any] = {
            "rows": self.rows,
            "tasks": len(self.tasks),
            "families": len(self.families),
            "rows_per_task_max": max(self.tasks.values(), default=0),
            "tokens": {
                "sum": sum(ordered),
                "learned": self.learned_tokens,
                **{f"p{part}": ordered[(len(ordered) - 1) * part // 100] for part in (50, 95) if ordered},
                "max": ordered[-1] if ordered else 0,
            },
            "weight": {
                "sum": round(math.fsum(self.weights), 6),
                "min": min(self.weights, default=0.0),
                "max": max(self.weights, default=0.0),
            },
            "constructions": _sorted(constructions),
            "actions": _sorted(actions),
            "steps": {str(step): rows for step, rows in sorted(steps.items())},
            "models": _sorted(models),
            "tags": _sorted(tags),
        }
        if set(constructions) - {"step", "trajectory"}:
            out["longer_preferred"] = round(self.longer_preferred / self.rows, 4)
            out["length_delta_mean"] = round(self.length_delta / self.rows, 2)
        return out


def action(text: str) -> str:
    """The tool of an action's canonical text, ``final``, or ``other`` for other text."""
    if text.startswith(_CALL):
        return text[len(_CALL) : text.index('"', len(_CALL))]
    return "final" if text.startswith('{"type":"final"') else "other"


def construction(example: Example) -> str:
    """How the example was made: ``step`` or ``trajectory``, or the pair's own word."""
    if isinstance(example, Pair):
        return example.construction
    return "trajectory" if example.trained else "step"


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
