"""Objects between the two processes: a flat table, so that sharing, cycles and changes in place survive.

Both ends number the same objects: the judge's own are positive, the worker's negative. A message holds values and the
objects that are new, or changed, since the last one. An object's entry is ``[number, tag, ...]``; a value in it is
``[number]`` for an object, or what :func:`plain.pack` makes. Functions and iterators stay where they are: the other
end gets a stand-in.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Set
from typing import Any, Protocol

from pytest_repoagent.testrun.split import kinds
from pytest_repoagent.testrun.split.packing import Packing
from pytest_repoagent.testrun.split.plain import Malformed
from pytest_repoagent.testrun.split.retention import retained
from pytest_repoagent.testrun.split.unpacking import Unpacking

_METHODS: dict[str, tuple[str | None, ...]] = {
    "function": (None,),
    "iterator": ("__next__", "send", "throw", "close"),
}


class StandIns(Protocol):
    """Makes what this end holds in place of the other end's objects."""

    def function(self, number: int, module: str, name: str, bare: bool) -> Any:
        """A callable; a bare one has no ``__wrapped__``."""
        ...

    def iterator(self, number: int, kind: str, name: str) -> Any:
        """An iterator or generator."""
        ...

    def kind(self, module: str, name: str) -> type:
        """A class for the other end's instances; they differ from each other by identity alone."""
        ...


class Heap:
    """One end's view of the objects that both know.

    Attributes:
        judge: this end trusts nothing that arrives; otherwise it is the worker's.
        objects: number -> object.
        numbers: id of an object -> number.
        tags: number -> what kind of object it is.
        tags_of_kinds: the tags that a class decides.
        synced: number -> its entry as both ends last knew it.
        classes: number -> class of instances.
        notes: of what did not cross whole, for the worker's end.
    """

    def __init__(self, standins: StandIns, *, judge: bool) -> None:
        self.judge = judge
        self.standins = standins
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.tags: dict[int, str] = {}
        self.tags_of_kinds: dict[type, str] = {}
        self.synced: dict[int, list[Any]] = {}
        self.classes: dict[int, type] = {0: object}
        self.class_numbers: dict[type, int] = {object: 0}
        self.notes: list[str] = []
        self._sign = 1 if judge else -1
        self._count = 0

    def pack(self, values: Iterable[Any]) -> Packing:
        """Values for a message; see :class:`Packing`."""
        return Packing(self, values)

    def unpack(self, packed: Any, table: Any, changeable: Container[int] = ()) -> Unpacking:
        """A message's values; see :class:`Unpacking`."""
        return Unpacking(self, packed, table, changeable)

    def owns(self, number: int) -> bool:
        """Whether this end made the object."""
        return number * self._sign > 0

    def is_callable(self, number: int, method: str | None) -> bool:
        """Whether the other end may call one of this end's objects, or this method of it."""
        return self.owns(number) and method in _METHODS.get(self.tags[number], ())

    def release(self, held: Set[int] = frozenset()) -> list[int]:
        """Forget the objects that nobody on this end holds any more, and say which; not those ``held`` for certain.

        Where the other end holds less than all that makes up an object, it stays until that end forgets it.
        """
        asked = self.objects.keys() - held
        always = {number for number in asked if self._is_original(number)}
        if always == asked:
            return []
        opaque = {number for number in asked if self.tags[number] in kinds.BY_REFERENCE}
        released = sorted(asked - retained(self.objects, asked, always, opaque))
        self.forget(released)
        return released

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget objects, of which the other end knows that they are forgotten."""
        for number in numbers:
            if number in self.objects:
                del self.numbers[id(self.objects.pop(number))], self.tags[number]
                self.synced.pop(number, None)

    def adopt(self, tag: str, value: Any) -> int:
        """Number an object of this end's."""
        self._count += 1
        number = self._sign * self._count
        self.objects[number], self.numbers[id(value)], self.tags[number] = value, number, tag
        return number

    def add(self, number: int, tag: str, value: Any, entry: list[Any]) -> None:
        """Take an object of the other end's."""
        self.objects[number], self.numbers[id(value)], self.tags[number] = value, number, tag
        self.synced[number] = entry

    def adopt_class(self, kind: type) -> int:
        """Number a class of this end's."""
        self._count += 1
        number = self._sign * self._count
        self.classes[number], self.class_numbers[kind] = kind, number
        return number

    def add_class(self, number: int, module: str, name: str) -> None:
        """Take a class of the other end's.

        Raises:
            Malformed: there is one with this number.
        """
        if number in self.classes:
            raise Malformed
        self.classes[number] = kind = self.standins.kind(module, name)
        self.class_numbers[kind] = number

    def forget_class(self, number: int) -> None:
        """Forget a class that the other end was not told of."""
        del self.class_numbers[self.classes.pop(number)]

    def _is_original(self, number: int) -> bool:
        by_reference = self.tags[number] in kinds.BY_REFERENCE
        partly = by_reference or (not self.judge and type(self.objects[number]) not in kinds.EXACT)
        return partly and self.owns(number)
