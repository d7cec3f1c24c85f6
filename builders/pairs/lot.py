"""All pairs that were made for a dataset: what became of each, and which are in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from builders.examples import Pair
from builders.leakage import HeldOut
from builders.pairs import lint
from builders.pairs.lint import Candidate
from builders.pairs.mixing import Good, Lengths, measure, mixed, unbiased
from builders.pairs.rules import PairRules
from builders.spool import Spool
from pytest_repoagent.canonical import canonical_sha256
from pytest_repoagent.errors import UsageError


class Lot:
    """Takes candidates, keeps the good ones on disk, and chooses among them.

    Attributes:
        made: construction -> candidates.
        dropped: construction -> candidates that are not in the dataset, by reason.
        kept: construction -> pairs in the dataset.
        lengths: construction -> how the sides' lengths differ, of its good pairs and of those that are kept.
    """

    def __init__(self, rules: PairRules, held_out: HeldOut, spool: Spool[Pair]) -> None:
        """Begin with none."""
        self._rules, self._held_out, self._spool = rules, held_out, spool
        self._pools: dict[str, list[Good]] = {name: [] for name in rules.mix}
        self._first_is_better: dict[str, bool] = {}
        self.made: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.lengths: dict[str, tuple[Lengths, Lengths]] = {}
        self.dropped: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def take(self, candidates: Iterable[Candidate]) -> None:
        """Keep the good ones.

        Raises:
            InfrastructureError: the disk is full.
        """
        for candidate in candidates:
            name = candidate.construction.partition(":")[0]
            self.made[name] += 1
            reason = lint.reason(candidate, self._rules.min_margin) or self._leak(candidate) or self._known(candidate)
            if reason is None:
                self._keep(name, candidate)
            else:
                self.dropped[name][reason] += 1

    def note(self, name: str, dropped: Counter[str]) -> None:
        """Count what its construction made no candidate of, by reason."""
        self.made[name] += dropped.total()
        self.dropped[name] += dropped

    def choose(self) -> list[Good]:
        """The pairs of the dataset, in the order in which they were made.

        Raises:
            UsageError: there is none, or a share cannot be had.
        """
        pools = {name: unbiased(pool, self._rules.max_length_bias) for name, pool in self._pools.items()}
        for name, pool in pools.items():
            self._count(name, "one-sided length (--max-length-bias)", len(self._pools[name]) - len(pool))
        chosen = mixed(pools, self._rules.mix, self._rules.max_pairs, self._why)
        if not chosen:
            made = "; ".join(f"{name}: {self.made[name]:,} made{self._why(name)}" for name in pools)
            raise UsageError(f"no good pair is left ({made}): make others, or more of them")
        self.kept.update(pair.construction for pair in chosen)
        for name, pool in pools.items():
            self._count(name, "over the share or --max-pairs", len(pool) - self.kept[name])
            kept = [pair for pair in chosen if pair.construction == name]
            self.lengths[name] = measure(self._pools[name]), measure(kept)
        return chosen

    def account(self) -> dict[str, dict[str, Any]]:
        """What became of the pairs, as :class:`builders.dataset.Plan` has it."""
        return {
            name: {
                "made": self.made[name],
                "kept": self.kept[name],
                "dropped": dict(self.dropped[name].most_common()),
                "lengths": dict(zip(("good", "kept"), map(asdict, self.lengths[name]), strict=True)),
            }
            for name in self._rules.mix
        }

    def remarks(self) -> list[str]:
        """What the lengths say, for the card."""
        return [
            f"{name}: the preferred side is longer in {kept.longer:.0%} of the pairs, shorter in {kept.shorter:.0%}; "
            f"its length less the other's is {kept.mean_delta:+,.0f} characters in the mean. Before --max-length-bias: "
            f"{good.longer:.0%}, {good.shorter:.0%}, {good.mean_delta:+,.0f}."
            for name, (good, kept) in self.lengths.items()
            if self.kept[name]
        ]

    def _keep(self, name: str, candidate: Candidate) -> None:
        good, bad = candidate.preferred.text, candidate.rejected.text
        state = candidate.state
        number = self._spool.add(Pair(state, good, bad, candidate.construction, candidate.tags, candidate.margin))
        pair = Good(number, _name(candidate), name, state.task_id, state.family, len(good) - len(bad))
        self._pools[name].append(pair)

    def _leak(self, candidate: Candidate) -> str | None:
        texts = (candidate.preferred.text, candidate.rejected.text)
        found = self._held_out.collision({"role": "assistant", "content": text} for text in texts)
        return f"shows held-out {found}" if found else None

    def _known(self, candidate: Candidate) -> str | None:
        """Why a pair says nothing new; of two that contradict each other the first one stays."""
        good, bad = candidate.preferred.text, candidate.rejected.text
        key = _name(candidate)
        if key not in self._first_is_better:
            self._first_is_better[key] = good < bad
            return None
        return "duplicate" if self._first_is_better[key] == (good < bad) else "another pair says the opposite"

    def _count(self, name: str, reason: str, pairs: int) -> None:
        if pairs:
            self.dropped[name][reason] += pairs

    def _why(self, name: str) -> str:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.dropped[name].most_common())
        return f" ({reasons})" if reasons else ""


def _name(candidate: Candidate) -> str:
    """The same for two pairs of the same texts at the same state, whichever is the better one."""
    texts = sorted((candidate.preferred.text, candidate.rejected.text))
    return canonical_sha256([candidate.state.state_hash, *texts])
