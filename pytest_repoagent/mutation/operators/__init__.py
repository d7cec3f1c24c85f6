"""The ways to put a bug into a program: each finds every place in a corrected program, and changes its text there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_repoagent.mutation.operators import logic, missing, names, values
from pytest_repoagent.mutation.operators.original import Original, Splice


@dataclass(frozen=True)
class Operator:
    """A way to put a bug into a program.

    Attributes:
        name: its name in suites.
        defect_class: what the bug is called, in the words of QuixBugs (Lin et al., SPLASH 2017, Table 1) where it has
            one.
        changes: finds the places.
    """

    name: str
    defect_class: str
    changes: Callable[[Original], Iterator[tuple[Splice, ...]]]


OPERATORS = (
    Operator("comparison", "incorrect comparison operator", logic.comparison),
    Operator("connective", "incorrect logical operator", logic.connective),
    Operator("missing_condition", "missing condition", logic.missing_condition),
    Operator("assignment_operator", "incorrect assignment operator", values.assignment_operator),
    Operator("arithmetic_operator", "incorrect arithmetic operator", values.arithmetic_operator),
    Operator("missing_arithmetic", "missing arithmetic expression", values.missing_arithmetic),
    Operator("off_by_one", "missing/added +1", values.off_by_one),
    Operator("slice", "incorrect array slice", values.slices),
    Operator("variable", "incorrect variable", names.variable),
    Operator("swap", "variable swap", names.swap),
    Operator("method", "incorrect method called", names.method),
    Operator("field", "incorrect field dereference", names.field),
    Operator("missing_call", "missing function call", missing.missing_call),
    Operator("missing_join", "variable prepend", missing.missing_join),
    Operator("element", "incorrect data-structure constant", values.element),
    Operator("constant", "incorrect data-structure constant", values.constant),
    Operator("missing_line", "missing line", missing.missing_line),
)
