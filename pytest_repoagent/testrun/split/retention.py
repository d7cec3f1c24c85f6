"""Which shared objects the rest of a process still holds, told from reference counts as the garbage collector does."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Any


def _counts(objects: Mapping[int, Any], numbers: Iterable[int]) -> dict[int, int]:
    return {number: sys.getrefcount(objects[number]) for number in numbers}


_OWN_REFERENCES = _counts({0: []}, [0])[0]


def retained(objects: Mapping[int, Any], asked: Set[int], always: Set[int], opaque: Set[int]) -> set[int]:
    """Those ``asked`` about that something besides ``objects`` and each other refers to, and all in them.

    Args:
        objects: number -> object; nothing else of the caller's may refer to one.
        asked: the numbers in question.
        always: numbers that count as referred to.
        opaque: functions and iterators; what they refer to is referred to from outside.
    """
    counts = _counts(objects, asked)
    if not always and all(count == _OWN_REFERENCES for count in counts.values()):
        return set()
    if asked <= opaque:
        return {number for number in asked if number in always or counts[number] > _OWN_REFERENCES}
    inside = {number: _inside(objects[number]) for number in asked if number not in opaque}
    shared = Counter(id(item) for items in inside.values() for item in items)
    numbers = {id(objects[number]): number for number in asked}
    todo = [n for n in asked if n in always or counts[n] - _OWN_REFERENCES > shared[id(objects[n])]]
    found: set[int] = set()
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo += [numbers[id(item)] for item in inside.get(number, ()) if id(item) in numbers]
    return found


def _inside(value: Any) -> list[Any]:
    """What an object refers to; for an instance, its attributes instead of the dictionary they are in."""
    items = gc.get_referents(value)
    attributes = getattr(value, "__dict__", None)
    if attributes is not None and any(item is attributes for item in items):
        items += attributes.values()
    return items
