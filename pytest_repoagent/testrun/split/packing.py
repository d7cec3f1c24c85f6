"""One message's way out: values and the objects in them as JSON."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pytest_repoagent.testrun.split import kinds, plain
from pytest_repoagent.testrun.split.plain import Unservable

if TYPE_CHECKING:
    from pytest_repoagent.testrun.split.graph import Heap

__tracebackhide__ = True
MAX_OBJECTS = 400_000
_SMALL = 1 << 63


class Packing:
    """Values packed, with whatever changed of the objects that both ends know.

    Attributes:
        values: the values as JSON.
        table: the entries that the other end lacks.
        reached: the numbers of all objects in the values.
    """

    def __init__(self, heap: Heap, values: Iterable[Any]) -> None:
        """Pack the values.

        Raises:
            Unservable: one of them cannot cross. The heap is as it was, then.
        """
        self.table: list[list[Any]] = []
        self._heap = heap
        self._visited: set[int] = set()
        self._queue: list[int] = []
        self._new: list[int] = []
        self._before: dict[int, list[Any] | None] = {}
        try:
            self.values = [self._value(value) for value in values]
            self._write_queue()
            self.reached = set(self._visited)
            if len(self._visited) < len(heap.objects):
                rest = [n for n, tag in heap.tags.items() if n not in self._visited and tag not in kinds.UNCHANGING]
                self._visited.update(rest)
                self._queue += rest
                self._write_queue()
            if len(self.table) > MAX_OBJECTS:
                raise Unservable(f"more than {MAX_OBJECTS} objects")
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Make the heap as it was: what is packed here is not sent."""
        for number, entry in self._before.items():
            if entry is None:
                self._heap.synced.pop(number, None)
            elif number in self._heap.objects:
                self._heap.synced[number] = entry
        self._heap.forget(self._new)
        for entry in self.table:
            if entry[1] == "class":
                self._heap.forget_class(entry[0])

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is str and value.isascii():
            return value
        heap = self._heap
        number = heap.numbers.get(id(value))
        if number is None:
            tag = heap.tags_of_kinds.get(kind)
            if tag is None:
                packed = self._plain(value)
                if packed is not plain.NO:
                    return packed
                try:
                    tag = kinds.trusted(value) if heap.judge else kinds.untrusted(value, heap.notes)
                except Unservable as error:
                    if heap.judge:
                        raise
                    return ["?", str(error)]
                if tag not in kinds.UNCHANGING:
                    heap.tags_of_kinds[kind] = tag
            number = heap.adopt(tag, value)
            self._new.append(number)
        if number not in self._visited:
            self._visited.add(number)
            self._queue.append(number)
        return [number]

    def _plain(self, value: Any) -> Any:
        heap, kind = self._heap, type(value)
        packed = plain.pack(value, heap.judge)
        if packed is plain.NO and kind in kinds.VIEWS:
            return [kinds.VIEWS[kind], self._value(gc.get_referents(value)[0])]
        return kinds.atom(value, heap.notes) if packed is plain.NO and not heap.judge else packed

    def _write_queue(self) -> None:
        heap = self._heap
        while self._queue:
            number = self._queue.pop()
            tag, before = heap.tags[number], heap.synced.get(number)
            if before is not None and tag in kinds.BY_REFERENCE:
                continue
            entry = [tag, *self._body(tag, heap.objects[number])]
            if before != entry:
                self._before[number] = before
                heap.synced[number] = entry
                self.table.append([number, *entry])

    def _body(self, tag: str, value: Any) -> Iterable[Any]:
        pack = self._value
        if tag in ("list", "tuple"):
            return [
                item
                if ((kind := type(item)) is int and -_SMALL < item < _SMALL) or (kind is str and item.isascii())
                else pack(item)
                for item in value
            ]
        if tag in ("dict", "Counter"):
            return [pack(part) for pair in dict.items(value) for part in pair]
        if tag == "OrderedDict":
            return [pack(part) for pair in OrderedDict.items(value) for part in pair]
        if tag in ("set", "frozenset"):
            # Two sets that are equal need not have one order.
            return sorted((pack(item) for item in value), key=repr)
        if tag == "bag":
            return [self._class_number(type(value)), *self._attributes(value)]
        if tag == "deque":
            return [value.maxlen, *map(pack, value)]
        if tag == "defaultdict":
            return [pack(value.default_factory), *(pack(part) for pair in dict.items(value) for part in pair)]
        if tag == "namedtuple":
            return [type(value).__name__, list(value._fields), *map(pack, value)]
        if tag == "bytearray":
            return [value.hex()]
        return kinds.describe(tag, value)

    def _attributes(self, value: Any) -> list[Any]:
        """Name after name with its value; what cannot cross is left for when it is asked for."""
        flat = []
        for name, attribute in sorted(kinds.attributes(value).items()):
            packed = self._value(attribute)
            if not (type(packed) is list and packed[0] == "?"):
                flat += [self._value(name), packed]
        return flat

    def _class_number(self, kind: type) -> int:
        number = self._heap.class_numbers.get(kind)
        if number is None:
            number = self._heap.adopt_class(kind)
            self.table.append([number, "class", str(kind.__module__), str(kind.__qualname__)])
        return number
