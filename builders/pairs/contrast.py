"""Pairs from a better and a worse rollout of one task, cut where they parted: the first state they left differently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from builders import rollouts
from builders.examples import State
from builders.history import History
from builders.leakage import HeldOut
from builders.pairs.lint import Candidate
from builders.pairs.rubric import Judged, judge
from builders.pairs.rules import Output
from builders.selection import Selected, selected, sql
from builders.spool import Spool

PASS_MARGIN = 5.0
"""What passing is worth where the other rollout failed; as much as tests that pass in the rubric."""
MAX_STEPS_MARGIN = 4.0
"""What steps saved are worth at most, one point each, where both ended alike."""


@dataclass
class Contrasts:
    """Makes the pairs.

    Attributes:
        output, tail_turns: see :class:`builders.pairs.rules.PairRules`.
        dropped: contrasts that give no pair, by reason; complete once the pairs were made.
        alike: tasks whose rollouts all ended equally well; known once they were selected.
    """

    output: Output
    tail_turns: int
    dropped: Counter[str] = field(default_factory=Counter)
    alike: list[str] = field(default_factory=list)

    def select(self, connection: duckdb.DuckDBPyConnection) -> Selected:
        """Find where the usable rollouts parted; ``connection`` is the one on which they were selected."""
        connection.execute(sql("contrasts"), {"last_write": self.output == "last_write"})
        connection.execute(sql("contrast_steps"))
        found = connection.execute(
            "SELECT DISTINCT task_id FROM candidate_rollouts WHERE reason IS NULL "
            "EXCEPT SELECT task_id FROM contrasts ORDER BY task_id"
        )
        self.alike = [task_id for (task_id,) in found.fetchall()]
        return selected(connection)

    def query(self) -> str:
        """The SQL of the selection, for the manifest."""
        return "\n".join(f"{sql(name)};\n" for name in ("rollouts", "contrasts", "contrast_steps"))

    def candidates(
        self, connection: duckdb.DuckDBPyConnection, held_out: HeldOut, refused: Counter[str], folder: Path
    ) -> Iterator[Candidate]:
        """The pairs of what was selected.

        Args:
            connection: as in :meth:`select`.
            held_out: see :func:`builders.rollouts.read`.
            refused: see there too.
            folder: for a temporary file.
        """
        with Spool[tuple[State, str]](folder) as spool:
            places: dict[tuple[str, int], int] = {}
            for rollout in rollouts.read(connection, held_out, refused):
                for step in rollout.steps:
                    said = step.raw if step.action is None else step.action
                    places[rollout.rollout_id, step.step] = spool.add((rollout.state(step), said))
            texts = _Texts(connection, self.output, self.tail_turns)
            contrasts = connection.execute(
                "SELECT winner, loser, winner_success, loser_success, steps_saved, parted, step FROM contrasts "
                "ORDER BY winner_rank, loser_rank"
            )
            for winner, loser, won, lost, saved, parted, step in contrasts.fetchall():
                if parted is None:
                    self.dropped["the rollouts never did different things at the same state"] += 1
                elif won and lost and self.output in ("last_write", "patch"):
                    self.dropped["both passed, so one repair is as good as the other"] += 1
                elif (winner, step) not in places or (loser, parted) not in places:
                    self.dropped["a side could not be used"] += 1
                else:
                    (state, good), (_, bad) = spool.get((places[winner, step], places[loser, parted]))
                    margin = PASS_MARGIN * (won - lost) if won != lost else min(MAX_STEPS_MARGIN, saved)
                    yield from self._pair(state, (good, won), (bad, lost), margin, (winner, loser), texts)

    def _pair(
        self,
        state: State,
        good: tuple[str, bool],
        bad: tuple[str, bool],
        margin: float,
        rollout_ids: tuple[str, str],
        texts: _Texts,
    ) -> Iterator[Candidate]:
        history = History(state.messages)
        acts = self.output in ("action", "last_write")
        sides = []
        for (said, success), rollout_id in zip((good, bad), rollout_ids, strict=True):
            text = said if self.output == "action" else texts.of(rollout_id)
            if not text:
                self.dropped[f"a side has no {self.output.replace('_', ' ')}"] += 1
                return
            side = judge(history, text) if acts else Judged(text, None, (), ())
            sides.append(replace(side, tests=success))
        preferred, rejected = sides
        code = rejected.faults[0] if rejected.faults else "none"
        tags = (f"code:{code}", f"contrast:{'pass and fail' if good[1] != bad[1] else 'fewer steps'}")
        yield Candidate(
            state,
            history,
            preferred,
            rejected,
            f"rollouts:{self.output}",
            margin,
            tags,
            acts,
        )


class _Texts:
    """What a whole rollout says for an output; empty where it has none."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, output: Output, tail_turns: int) -> None:
        self._connection = connection
        self._turns = tail_turns
        self.of = lru_cache(maxsize=1024)({"last_write": self._write, "patch": self._diff}.get(output, self._tail))

    def _write(self, rollout_id: str) -> str:
        statement = (
            "SELECT action FROM steps WHERE rollout_id = ? AND tool = 'write_file' AND executed_ok "
            "ORDER BY step DESC LIMIT 1"
        )
        return self._one(statement, rollout_id)

    def _diff(self, rollout_id: str) -> str:
        return self._one("SELECT diff FROM rollouts WHERE rollout_id = ?", rollout_id)

    def _tail(self, rollout_id: str) -> str:
        rows = self._connection.execute(
            "SELECT coalesce(action::VARCHAR, raw), new_messages FROM steps WHERE rollout_id = ? ORDER BY step",
            [rollout_id],
        ).fetchall()
        messages: list[Any] = []
        for number, (said, _) in list(enumerate(rows))[-self._turns :]:
            messages.append({"role": "assistant", "content": said})
            if number + 1 < len(rows):
                messages += json.loads(rows[number + 1][1])
        return json.dumps({"type": "tail", "messages": messages}, ensure_ascii=False, separators=(",", ":"))

    def _one(self, statement: str, rollout_id: str) -> str:
        row = self._connection.execute(statement, [rollout_id]).fetchone()
        return row[0] or "" if row else ""
