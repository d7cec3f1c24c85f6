"""One message's way in: JSON to values, and changes made to the objects that both ends know.

Of the judge's end: nothing that arrives can do more than build plain values. Whatever is wrong with it, an exception
says so; which one does not matter.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from pytest_repoagent.testrun.split import kinds, plain
from pytest_repoagent.testrun.split.packing import MAX_OBJECTS
from pytest_repoagent.testrun.split.plain import Malformed

if TYPE_CHECKING:
    from pytest_repoagent.testrun.split.graph import Heap

__tracebackhide__ = True
# Hashing a tuple in a tuple takes the C stack.
MAX_NESTING = 20_000
_INLINE = frozenset({str, int, type(None)})
_NESTED = frozenset({"tuple", "frozenset", "namedtuple"})
_VIEWS: dict[str, Callable[[Any], Any]] = {"keys": dict.keys, "values": dict.values, "items": dict.items}
_EMPTY: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "bytearray": bytearray,
    "OrderedDict": OrderedDict,
    "Counter": Counter,
    "defaultdict": defaultdict,
}


class Unpacking:
    """A message unpacked.

    Attributes:
        values: its values.
        refused: reasons why parts of it did not cross.
        received: numbers of the functions and iterators that were new in it.
    """

    def __init__(self, heap: Heap, packed: Any, table: Any, changeable: Container[int]) -> None:
        """Make the changes in ``table``, then the values.

        Args:
            heap: the objects that both ends know.
            packed: the values.
            table: the objects' entries.
            changeable: which of this end's own objects may be changed; others stay, and are ``refused``.

        Raises:
            Malformed: the message is not what packing makes. Other exceptions mean the same.
        """
        if type(packed) is not list or len(table) > MAX_OBJECTS:
            raise Malformed
        self.refused: list[str] = []
        self.received: list[int] = []
        self._heap = heap
        self._entries: dict[int, list[Any]] = {}
        self._nesting: dict[int, int] = {}
        for number, *entry in table:
            self._take(number, entry)
        self._known = known = heap.objects.keys() & self._entries.keys()
        for number, (tag, *body) in self._entries.items():
            if number in known:
                if heap.tags[number] != tag or tag in kinds.UNCHANGING:
                    raise Malformed
            elif tag not in _NESTED:
                heap.add(number, tag, self._shell(number, tag, body), self._entries[number])
        for number in self._entries:
            self._build(number)
        for number, entry in self._entries.items():
            if number in known and heap.owns(number) and number not in changeable:
                self.refused.append("the program changed an object outside of any call that was given it")
            elif entry[0] not in kinds.UNCHANGING:
                self._fill(number, *entry)
                heap.synced[number] = entry
        self.values = [self._read(value) for value in packed]

    def _take(self, number: Any, entry: list[Any]) -> None:
        """Sort an entry of the table: a class, a known object, or a new one of the other end's."""
        heap = self._heap
        if type(number) is not int or number in self._entries:
            raise Malformed
        if entry[0] == "class":
            _, module, name = entry
            if heap.owns(number):
                raise Malformed
            heap.add_class(number, plain.text(module), plain.text(name))
        elif number not in heap.objects and (heap.owns(number) or not number):
            raise Malformed
        else:
            self._entries[number] = entry

    def _shell(self, number: int, tag: str, body: list[Any]) -> Any:
        if tag in kinds.BY_REFERENCE:
            self.received.append(number)
            one, other, *more = map(plain.text, body)
            if tag == "iterator":
                return self._heap.standins.iterator(number, one, other)
            return self._heap.standins.function(number, one, other, kinds.BARE in more)
        if tag == "bag":
            return object.__new__(self._heap.classes[body[0]])
        if tag == "deque":
            return deque(maxlen=body[0])
        return _EMPTY[tag]()

    def _build(self, number: int) -> None:
        """Make an unchanging object after those in it."""
        objects = self._heap.objects
        stack, opened = [number], set()
        while stack:
            number = stack[-1]
            if number in objects:
                stack.pop()
                continue
            tag, *body = self._entries[number]
            inner = [item[0] for item in body if type(item) is list and len(item) == 1 and type(item[0]) is int]
            missing = [other for other in inner if other not in objects]
            if not missing:
                nesting = 1 + max((self._nesting.get(other, 0) for other in inner), default=0)
                if nesting > MAX_NESTING:
                    raise Malformed
                self._nesting[number] = nesting
                self._heap.add(number, tag, self._nested(tag, body), self._entries[number])
            elif number in opened:
                raise Malformed
            else:
                opened.add(number)
                stack += missing

    def _nested(self, tag: str, body: list[Any]) -> Any:
        if tag == "namedtuple":
            name, fields, *body = body
            return kinds.named_tuple(plain.text(name), tuple(map(plain.text, fields)))(*map(self._read, body))
        return (tuple if tag == "tuple" else frozenset)(map(self._read, body))

    def _fill(self, number: int, tag: str, *body: Any) -> None:
        """Change an object, past whatever its class does when it is changed."""
        value, read = self._heap.objects[number], self._read
        if tag == "list":
            list.__setitem__(value, slice(None), [read(item) for item in body])
        elif tag in ("dict", "OrderedDict", "Counter", "defaultdict"):
            if tag == "defaultdict":
                value.default_factory = read(body[0])
                body = body[1:]
            pairs = kinds.pairs([read(part) for part in body])
            base = OrderedDict if tag == "OrderedDict" else dict
            base.clear(value)
            for key, item in pairs:
                base.__setitem__(value, key, item)
        elif tag == "set":
            items = [read(item) for item in body]
            set.clear(value)
            set.update(value, items)
        elif tag == "deque":
            items = [read(item) for item in body[1:]]
            deque.clear(value)
            deque.extend(value, items)
        elif tag == "bytearray":
            value[:] = bytes.fromhex(body[0])
        elif tag == "bag":
            before = self._heap.synced[number]
            if before[1] != body[0]:
                raise Malformed
            new = dict(kinds.pairs([read(part) for part in body[1:]]))
            gone = {read(name) for name in before[2::2]} - new.keys() if number in self._known else ()
            kinds.set_attributes(value, new, gone)

    def _read(self, value: Any) -> Any:
        if type(value) in _INLINE:
            return value
        if type(value) is not list:
            raise Malformed
        first = value[0]
        if type(first) is int and len(value) == 1:
            return self._heap.objects[first]
        if first == "?":
            self.refused.append(plain.text(value[1]))
            return None
        if first in _VIEWS:
            return _VIEWS[first](self._read(value[1]))
        return plain.unpack(value, not self._heap.judge)
