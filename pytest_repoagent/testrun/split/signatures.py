"""What ``inspect.signature`` says of a function of the other process; ``inspect`` is loaded where somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_repoagent.testrun.split.plain import text

if TYPE_CHECKING:
    from inspect import Signature

__tracebackhide__ = True


def describe(function: Any) -> list[Any]:
    """The return annotation, then name, kind, default and annotation of each parameter; ``[]`` is none."""
    from inspect import Parameter, signature

    def told(value: Any) -> list[Any]:
        return [] if value is Parameter.empty else [value]

    found = signature(function)
    parameters = found.parameters.values()
    return [
        told(found.return_annotation),
        *([one.name, int(one.kind), told(one.default), told(one.annotation)] for one in parameters),
    ]


def rebuild(facts: Any) -> Signature:
    """The signature that :func:`describe` described.

    Raises:
        ValueError: it described none. Other exceptions mean the same.
    """
    from inspect import Parameter, Signature, _ParameterKind

    def heard(told: list[Any]) -> Any:
        return told[0] if told else Parameter.empty

    returned, *parameters = facts
    return Signature(
        [
            Parameter(text(name), _ParameterKind(kind), default=heard(default), annotation=heard(annotation))
            for name, kind, default, annotation in parameters
        ],
        return_annotation=heard(returned),
    )
