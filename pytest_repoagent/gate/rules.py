"""The rules of the gate: ``METRIC:+N``, ``METRIC:-N%@p<P``, ``METRIC<=N``.

A rule against the baseline (``:``) sets a limit at the baseline plus a signed amount, and the run must not be worse
than it: ``strict_valid:-2%`` allows a loss of two points, ``parse_errors:+0`` allows none. A percentage of a share is
in points; of anything else it is of the baseline. With ``@p<P`` the rule is broken only where, besides, the paired
sign-flip test of the tasks gives the difference a p-value below ``P``.

An absolute rule (``<=``, ``<``, ``>=``, ``>``) needs no baseline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from pytest_repoagent.errors import UsageError
from pytest_repoagent.gate.metrics import METRICS, Metric

if TYPE_CHECKING:
    from pytest_repoagent.settings import Settings

DEFAULT_RULES = (
    "strict_valid:-2%@p<0.01",
    "loop_rate:+10%@p<0.01",
    "reached_write:-10%@p<0.01",
    "pass_rate:-10%@p<0.01",
)
"""What ``--baseline`` alone demands: losses that matter and that chance does not explain."""

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_RULE = re.compile(
    rf"(?P<metric>[a-z_]+)(?P<sign>:[+-]|<=|>=|<|>)(?P<number>{_NUMBER})(?P<percent>%?)(?:@p<(?P<p>{_NUMBER}))?"
)
_SLACK = 1e-9


@dataclass(frozen=True)
class Rule:
    """What a run must keep.

    Attributes:
        text: as the user wrote it.
        sign: ``:`` for a rule against the baseline, else the comparison that must hold.
        amount: for ``:`` what is added to the baseline, else the limit itself; a share's is between -1 and 1.
        of_baseline: ``amount`` is a share of the baseline.
        p: the p-value below which a loss is no chance; None where any loss beyond the limit breaks the rule.
    """

    text: str
    metric: Metric
    sign: str
    amount: float
    of_baseline: bool = False
    p: float | None = None

    @property
    def needs_baseline(self) -> bool:
        """Whether the limit depends on a baseline."""
        return self.sign == ":"

    def limit(self, baseline: float) -> float:
        """The limit, where the baseline has the value ``baseline`` (an absolute rule does not look)."""
        if not self.needs_baseline:
            return self.amount
        return baseline + (self.amount * baseline if self.of_baseline else self.amount)

    @property
    def comparison(self) -> str:
        """How the run's value must compare with the limit: ``<=``, ``<``, ``>=`` or ``>``."""
        if not self.needs_baseline:
            return self.sign
        return ">=" if self.metric.higher_is_better else "<="

    def within(self, value: float, limit: float) -> bool:
        """Whether a value is on the right side of the limit; sums of floats may be off by a hair."""
        slack = _SLACK * max(1.0, abs(limit))
        return {
            "<=": value <= limit + slack,
            "<": value < limit - slack,
            ">=": value >= limit - slack,
            ">": value > limit + slack,
        }[self.comparison]


def parse_rule(text: str) -> Rule:
    """Read one ``--fail-on``.

    Raises:
        UsageError: it is no rule, or names an unknown metric.
    """
    found = _RULE.fullmatch(text)
    if not found:
        raise _wrong(text, "write METRIC:+N, METRIC:-N%, METRIC:-N%@p<P or METRIC<=N, without spaces")
    metric = METRICS.get(found["metric"])
    if metric is None:
        raise _wrong(text, f"there is no metric {found['metric']}, only {', '.join(METRICS)}")
    share, percent, relative = metric.kind == "share", bool(found["percent"]), found["sign"][0] == ":"
    amount = float(found["number"]) / (100 if percent else 1)
    if not isfinite(amount) or (share and (amount > 1 or (relative and amount == 1))):
        raise _wrong(text, f"{metric.name} cannot be beyond {'100%, so write 2% or 0.02' if share else 'all numbers'}")
    if percent and not share and not relative:
        raise _wrong(text, f"{metric.name} is no share, so a limit of it is a number without %")
    if found["sign"] == ":-":
        amount = -amount
    p = float(found["p"]) if found["p"] else None
    if p is not None:
        gain = amount > 0 if metric.higher_is_better else amount < 0
        if not relative or gain:
            raise _wrong(text, "@p asks whether a loss against the baseline is chance, so it follows an allowed loss")
        if not 0 < p < 1:
            raise _wrong(text, "p must be above 0 and below 1, such as @p<0.05")
    return Rule(text, metric, ":" if relative else found["sign"], amount, percent and not share, p)


def rules_of(settings: Settings) -> list[Rule]:
    """The rules of a run, each once; none where it has no gate.

    Raises:
        UsageError: a rule cannot be used, or it needs a baseline and there is none.
    """
    texts = settings.fail_on or (DEFAULT_RULES if settings.baseline else ())
    rules = [parse_rule(text) for text in dict.fromkeys(texts)]
    for rule in rules:
        if rule.needs_baseline and settings.baseline is None:
            raise _wrong(rule.text, "it compares with a baseline, so give --baseline=FILE as well")
    return rules


def _wrong(text: str, reason: str) -> UsageError:
    return UsageError(f"--fail-on={text} cannot be used: {reason}")
