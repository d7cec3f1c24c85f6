"""Objects between the two processes: a flat table, so that sharing, cycles and changes in place survive.

Both ends number the same objects: the judge's own are positive, the worker's negative. A message holds values and the
objects that are new, or changed, since the last one. An object's entry is ``[number, tag, ...]``; a value in it is
``[number]`` for an object, or what :func:`plain.pack` makes. Functions and iterators stay where they are: the other
end gets a stand-in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Container, Iterable
from typing import Any, Protocol

from pytest_repoagent.testrun.split import kinds, plain
from pytest_repoagent.testrun.split.plain import Malformed, Unservable
from pytest_repoagent.testrun.split.retention import retained

__tracebackhide__ = True
MAX_OBJECTS = 400_000
# Hashing a tuple in tuples takes the C stack.
MAX_NESTING = 20_000
_SMALL = 1 << 63
_INLINE = frozenset({str, int, type(None)})
_UNCHANGING = frozenset({"tuple", "frozenset", "namedtuple", "function", "iterator"})
_METHODS: dict[str, tuple[str | None, ...]] = {
    "function": (None,),
    "iterator": ("__next__", "send", "throw", "close"),
}
_NESTED = frozenset({"tuple", "frozenset", "namedtuple"})


class StandIns(Protocol):
    """Makes what this end holds in place of the other end's objects."""

    def function(self, number: int, module: str, name: str) -> Any:
        """A callable."""
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
        objects: number -> object.
        notes: what did not cross as it is though a stand-in for it did; for the worker's end only.
        refused: reasons why parts of the last message did not cross.
        received: numbers of the functions and iterators that were new in the last message.
    """

    def __init__(self, standins: StandIns, *, judge: bool) -> None:
        self.objects: dict[int, Any] = {}
        self.notes: list[str] = []
        self.refused: list[str] = []
        self.received: list[int] = []
        self._standins = standins
        self._judge = judge
        self._sign = 1 if judge else -1
        self._count = 0
        self._numbers: dict[int, int] = {}
        self._tags: dict[int, str] = {}
        self._synced: dict[int, list[Any]] = {}
        self._nesting: dict[int, int] = {}
        self._classes: dict[int, type] = {0: object}
        self._class_numbers: dict[type, int] = {object: 0}
        self._table: list[list[Any]] = []
        self._reached: set[int] = set()
        self._queue: list[int] = []
        self._before: tuple[int, int, dict[int, list[Any]]] = (0, 0, {})

    def owns(self, number: int) -> bool:
        """Whether this end made the object."""
        return number * self._sign > 0

    def is_callable(self, number: int, method: str | None) -> bool:
        """Whether the other end may call one of this end's objects, or this method of it."""
        return self.owns(number) and method in _METHODS.get(self._tags[number], ())

    def number(self, value: Any) -> int:
        """The number of an object that both ends know."""
        return self._numbers[id(value)]

    def pack(self, values: Iterable[Any]) -> tuple[list[Any], list[list[Any]], set[int]]:
        """Values as JSON, the entries that the other end lacks, and the numbers of all objects that the values reach.

        Raises:
            Unservable: one of them cannot cross. Nothing has changed then.
        """
        self._table, self._reached, self._queue = [], set(), []
        self._before = self._count, len(self._classes), dict(self._synced)
        try:
            packed = [self._value(value) for value in values]
            self._write_queue()
            reached = set(self._reached)
            if len(reached) < len(self.objects):
                for number in list(self.objects):
                    if number not in self._reached and self._tags[number] not in _UNCHANGING:
                        self._reached.add(number)
                        self._queue.append(number)
                self._write_queue()
            if len(self._table) > MAX_OBJECTS:
                raise Unservable(f"more than {MAX_OBJECTS} objects")
        except BaseException:
            self.undo()
            raise
        return packed, self._table, reached

    def undo(self) -> None:
        """Forget the last :meth:`pack`, whose result was not sent."""
        count, classes, self._synced = self._before
        self.forget([self._sign * number for number in range(count + 1, self._count + 1)])
        while len(self._classes) > classes:
            del self._class_numbers[self._classes.popitem()[1]]

    def unpack(self, packed: Any, table: Any, changeable: Container[int]) -> list[Any]:
        """The values, after the changes in ``table`` were made.

        Args:
            packed: the values.
            table: the objects' entries.
            changeable: which of this end's own objects may be changed; others stay, and are ``refused``.

        Raises:
            Malformed: the message is not what :meth:`pack` makes. Other exceptions mean the same.
        """
        if len(table) > MAX_OBJECTS:
            raise Malformed
        self.refused, self.received = [], []
        entries = {number: entry for number, *entry in table if not self._is_class(number, entry)}
        if len(entries) + sum(entry[1] == "class" for entry in table) != len(table):
            raise Malformed
        known = self.objects.keys() & entries.keys()
        for number, (tag, *body) in entries.items():
            if number in known:
                if self._tags[number] != tag or tag in _UNCHANGING:
                    raise Malformed
            elif type(number) is not int or number * self._sign >= 0:
                raise Malformed
            elif tag not in _NESTED:
                self._add(number, tag, self._shell(number, tag, body))
        for number in entries:
            self._build(number, entries)
        for number, entry in entries.items():
            if number in known and self.owns(number) and number not in changeable:
                self.refused.append("the program changed an object outside of any call that was given it")
            elif entry[0] not in _UNCHANGING:
                self._fill(number, *entry)
                self._synced[number] = entry
        return [self._read(value) for value in packed]

    def release(self) -> list[int]:
        """Forget the objects that nobody on this end holds any more, and say which.

        What the other end has a stand-in for stays until that end forgets it.
        """
        if not self.objects:
            return []
        opaque = {number for number, tag in self._tags.items() if tag in ("function", "iterator")}
        always = {number for number in self.objects if self.owns(number) and self._is_original(number)}
        kept = retained(self.objects, always, opaque)
        released = [number for number in self.objects if number not in kept]
        self.forget(released)
        return released

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget objects that the other end has forgotten."""
        for number in numbers:
            value = self.objects.pop(number, None)
            if number in self._tags:
                del self._tags[number], self._numbers[id(value)]
                self._synced.pop(number, None)
                self._nesting.pop(number, None)

    def _is_original(self, number: int) -> bool:
        """Whether the other end holds less than all that makes up this object."""
        by_reference = self._tags[number] in ("function", "iterator")
        return by_reference or (not self._judge and type(self.objects[number]) not in kinds.EXACT)

    def _add(self, number: int, tag: str, value: Any) -> None:
        self.objects[number] = value
        self._numbers[id(value)] = number
        self._tags[number] = tag

    # Packing.

    def _value(self, value: Any) -> Any:
        kind = type(value)
        if kind is str and value.isascii():
            return value
        number = self._numbers.get(id(value))
        if number is None:
            packed = plain.pack(value, self._judge)
            if packed is not plain.NO:
                return packed
            if self._judge:
                tag = kinds.trusted(value)
            else:
                if (packed := kinds.atom(value, self.notes)) is not plain.NO:
                    return packed
                try:
                    tag = kinds.untrusted(value, self.notes)
                except Unservable as error:
                    return ["?", str(error)]
            self._count += 1
            number = self._sign * self._count
            self._add(number, tag, value)
        if number not in self._reached:
            self._reached.add(number)
            self._queue.append(number)
        return [number]

    def _write_queue(self) -> None:
        while self._queue:
            number = self._queue.pop()
            tag = self._tags[number]
            if tag in ("function", "iterator") and number in self._synced:
                continue
            entry = [tag, *self._body(tag, self.objects[number])]
            if self._synced.get(number) != entry:
                self._synced[number] = entry
                self._table.append([number, *entry])

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
        flat = []
        for name, attribute in sorted(kinds.attributes(value).items()):
            packed = self._value(attribute)
            if not (type(packed) is list and packed[0] == "?"):
                flat += [self._value(name), packed]
        return flat

    def _class_number(self, kind: type) -> int:
        if kind not in self._class_numbers:
            number = self._sign * len(self._class_numbers)
            self._class_numbers[kind], self._classes[number] = number, kind
            self._table.append([number, "class", str(kind.__module__), str(kind.__name__)])
        return self._class_numbers[kind]

    # Unpacking.

    def _is_class(self, number: Any, entry: Any) -> bool:
        if entry[0] != "class":
            return False
        _, module, name = entry
        if type(number) is not int or number * self._sign >= 0 or number in self._classes:
            raise Malformed
        self._classes[number] = kind = self._standins.kind(_text(module), _text(name))
        self._class_numbers[kind] = number
        return True

    def _shell(self, number: int, tag: str, body: list[Any]) -> Any:
        if tag == "function":
            module, name = map(_text, body)
            self._synced[number] = [tag, *body]
            self.received.append(number)
            return self._standins.function(number, module, name)
        if tag == "iterator":
            self._synced[number] = [tag, *body]
            self.received.append(number)
            kind, name = map(_text, body)
            return self._standins.iterator(number, kind, name)
        if tag == "bag":
            return object.__new__(self._classes[body[0]])
        if tag == "deque":
            return deque(maxlen=body[0])
        return _SHELLS[tag]()

    def _build(self, number: int, entries: dict[int, list[Any]]) -> None:
        """Make an unchanging object after those in it."""
        stack, opened = [number], set()
        while stack:
            number = stack[-1]
            if number in self.objects:
                stack.pop()
                continue
            tag, *body = entries[number]
            inner = [item[0] for item in body if type(item) is list and len(item) == 1 and type(item[0]) is int]
            missing = [other for other in inner if other not in self.objects]
            if not missing:
                self._nesting[number] = nesting = 1 + max((self._nesting.get(other, 0) for other in inner), default=0)
                if nesting > MAX_NESTING:
                    raise Malformed
                self._add(number, tag, self._nested(tag, body))
                self._synced[number] = entries[number]
            elif number in opened:
                raise Malformed
            else:
                opened.add(number)
                stack += missing

    def _nested(self, tag: str, body: list[Any]) -> Any:
        if tag == "namedtuple":
            name, fields, *body = body
            return kinds.named_tuple(_text(name), tuple(map(_text, fields)))(*map(self._read, body))
        # Not tuple() and frozenset(): the empty ones are the same object everywhere.
        return (tuple if tag == "tuple" else frozenset)(map(self._read, body))

    def _fill(self, number: int, tag: str, *body: Any) -> None:
        value, read = self.objects[number], self._read
        if tag == "list":
            list.__setitem__(value, slice(None), [read(item) for item in body])
        elif tag in ("dict", "OrderedDict", "Counter", "defaultdict"):
            if tag == "defaultdict":
                factory, *body = body  # type: ignore[assignment]
                value.default_factory = read(factory)
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
            before = self._synced.get(number, [tag, *body[:1]])
            if before[1] != body[0]:
                raise Malformed
            new = dict(kinds.pairs([read(part) for part in body[1:]]))
            kinds.set_attributes(value, new, {read(name) for name in before[2::2]} - new.keys())

    def _read(self, value: Any) -> Any:
        if type(value) in _INLINE:
            return value
        if type(value) is not list:
            raise Malformed
        if len(value) == 1 and type(value[0]) is int:
            return self.objects[value[0]]
        if value[0] == "?":
            self.refused.append(_text(value[1]))
            return None
        return plain.unpack(value, not self._judge)


_SHELLS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "bytearray": bytearray,
    "OrderedDict": OrderedDict,
    "Counter": Counter,
    "defaultdict": defaultdict,
}


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Malformed
    return value
