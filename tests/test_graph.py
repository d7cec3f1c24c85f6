from __future__ import annotations

import datetime
import gc
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repoagent.testrun.split.graph import Heap
from pytest_repoagent.testrun.split.plain import Malformed, Unservable
from pytest_repoagent.testrun.split.unpacking import Unpacking

Point = namedtuple("Point", "x y")


class Node:
    def __init__(self, value: object, next: object = None) -> None:
        self.value = value
        self.next = next


class Made:
    """Stand-ins that do nothing."""

    def __init__(self, *facts: object) -> None:
        self.facts = facts

    @staticmethod
    def kind(module: str, name: str) -> type:
        return type(name, (), {"__module__": module})


class _StandIns:
    function = iterator = Made
    kind = staticmethod(Made.kind)


def ends() -> tuple[Heap, Heap]:
    return Heap(_StandIns(), judge=True), Heap(_StandIns(), judge=False)


def carry(source: Heap, target: Heap, *values: Any, changeable: Any = range(-10_000, 10_000)) -> Unpacking:
    """Send values from one end to the other, as JSON does."""
    packing = source.pack(values)
    packed, table = json.loads(json.dumps([packing.values, packing.table]))
    return target.unpack(packed, table, changeable)


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**400, max_value=10**401),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.fractions(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC]), allow_imaginary=False),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
    st.builds(slice, st.none() | st.integers(), st.integers()),
    st.sampled_from([..., len, int, str.upper, ValueError, (), frozenset(), NotImplemented]),
)
MUTABLE: list[Callable[[], Any]] = [list, dict, set, deque, bytearray, OrderedDict, lambda: defaultdict(int)]
MUTABLE += [lambda: Node(0), Counter, lambda: deque(maxlen=2)]
IMMUTABLE: list[Callable[[list[Any]], Any]] = [tuple, lambda items: Point(items[0], items[-1]), frozenset]


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _add(target: Any, item: Any) -> None:
    if isinstance(target, bytearray):
        target.append(7)
    elif isinstance(target, dict):
        target[item if _hashable(item) else len(target)] = item
    elif isinstance(target, set):
        if _hashable(item):
            target.add(item)
    elif isinstance(target, Node):
        target.value, target.next = item, target.value
    else:
        target.append(item)


@st.composite
def graphs(draw: st.DrawFn) -> list[Any]:
    """Objects that refer to each other in any way, cycles and sharing included."""
    objects: list[Any] = [[]]
    for _ in range(draw(st.integers(0, 8))):
        atom = draw(ATOMS)
        if draw(st.booleans()):
            objects.append(draw(st.sampled_from(MUTABLE))())
        else:
            make = draw(st.sampled_from(IMMUTABLE))
            items = [atom, *draw(st.lists(st.sampled_from(objects), max_size=3))]
            objects.append(make([item for item in items if make is not frozenset or _hashable(item)]))
    for _ in range(draw(st.integers(0, 10))):
        targets = [item for item in objects if not isinstance(item, tuple | frozenset)]
        _add(draw(st.sampled_from(targets)), draw(st.sampled_from(objects) | ATOMS))
    return objects


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda item: repr(item) if not isinstance(item, Node) else "")
    if isinstance(value, list | tuple | deque):
        return list(value)
    if type(value).__name__ == "Node":
        return [value.value, value.next]
    return []


def assert_same_shape(one: Any, other: Any) -> None:
    """The same kinds and values in the same places, and the same things shared."""
    pairs: dict[int, Any] = {}
    todo = [(one, other)]
    while todo:
        a, b = todo.pop()
        assert type(a).__name__ == type(b).__name__
        parts, others = _parts(a), _parts(b)
        assert len(parts) == len(others)
        if isinstance(a, list | dict | set | deque | bytearray) or type(a).__name__ == "Node":
            if id(a) in pairs:
                assert pairs[id(a)] is b
                continue
            pairs[id(a)] = b
        if isinstance(a, set | frozenset) and not all(isinstance(item, str | int | bytes) for item in a):
            continue  # no order to compare them in
        if isinstance(a, deque):
            assert a.maxlen == b.maxlen
        if not parts and type(a).__name__ != "Node":
            assert repr(a) == repr(b)
        todo += zip(parts, others, strict=True)


@given(graphs())
def test_any_graph_crosses_and_comes_back_as_itself(objects: list[Any]) -> None:
    judge, worker = ends()
    (there,) = carry(judge, worker, objects).values
    assert_same_shape(objects, there)
    (back,) = carry(worker, judge, there).values
    assert back is objects
    assert all(a is b for a, b in zip(back, objects, strict=True))


@given(graphs(), st.data())
def test_changes_in_place_come_back(objects: list[Any], data: st.DataObject) -> None:
    judge, worker = ends()
    (there,) = carry(judge, worker, objects).values
    ids = [id(item) for item in objects]
    for _ in range(data.draw(st.integers(1, 5))):
        targets = [item for item in there if not isinstance(item, tuple | frozenset | int | str)] or [there]
        target = data.draw(st.sampled_from(targets))
        change = data.draw(st.sampled_from(["add", "clear", "remove"]))
        if change == "add" or isinstance(target, bytearray) or type(target).__name__ == "Node":
            if type(target).__name__ == "Node":
                target.value = data.draw(ATOMS)
            else:
                _add(target, data.draw(ATOMS))
        elif change == "clear" and target is not there:
            target.clear()
        elif target and target is not there:
            target.popitem() if isinstance(target, dict) else target.pop()
    carry(worker, judge)
    assert [id(item) for item in objects] == ids
    assert_same_shape(there, objects)


@settings(max_examples=30)
@given(graphs())
def test_nothing_stays_known_that_nobody_holds(objects: list[Any]) -> None:
    judge, worker = ends()
    arrived = carry(judge, worker, objects)
    del arrived
    gc.collect()  # cycles among what was unpacked
    released = worker.release()
    judge.forget(released)
    assert not worker.objects
    assert not judge.objects


def test_what_the_worker_keeps_stays_itself() -> None:
    judge, worker = ends()
    inner: list[int] = []
    outer = [inner]
    (there,) = carry(judge, worker, outer).values
    kept = there[0]
    del there
    judge.forget(worker.release())
    assert list(judge.objects.values()) == [inner]
    kept.append(1)
    carry(worker, judge)
    assert outer == [[1]]
    inner.append(2)
    carry(judge, worker)
    assert kept == [1, 2]


def test_an_object_changes_only_where_it_may() -> None:
    judge, worker = ends()
    value = [1]
    (there,) = carry(judge, worker, value).values
    there.append(2)
    arrived = carry(worker, judge, changeable=())
    assert value == [1]
    assert arrived.refused


def test_the_exact_type_of_what_is_in_an_object_counts() -> None:
    judge, worker = ends()
    value = [1, 2, 0.0, "a"]
    (there,) = carry(judge, worker, value).values
    there[:] = [True, 2.0, -0.0, "a"]
    carry(worker, judge)
    assert repr(value) == "[True, 2.0, -0.0, 'a']"


def test_long_lists_need_no_stack() -> None:
    judge, worker = ends()
    chain: Any = None
    nested: list[Any] = []
    for number in range(20_000):
        chain, nested = Node(number, chain), [nested]
    there, nested_there = carry(judge, worker, chain, nested).values
    back, nested_back = carry(worker, judge, there, nested_there).values
    assert back is chain
    assert nested_back is nested
    while nested and there:
        nested, there, nested_there = nested.pop(), there.next, nested_there.pop()


@pytest.mark.parametrize(
    "value",
    [Node, json, memoryview(b""), ValueError("x"), [1, [Node]], datetime.timezone(datetime.timedelta(), "named")],
    ids=["class", "module", "memoryview", "exception", "class in a list", "timezone"],
)
def test_what_cannot_cross_leaves_no_trace(value: object) -> None:
    judge, worker = ends()
    known = [1]
    (there,) = carry(judge, worker, known).values
    known.append(2)
    with pytest.raises(Unservable):
        judge.pack([known, value, {}])
    assert list(judge.objects.values()) == [known]
    carry(judge, worker)
    assert there == [1, 2]


def test_an_object_with_behaviour_of_its_own_cannot_cross() -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    judge, worker = ends()
    with pytest.raises(Unservable):
        judge.pack([Equal()])
    (bag,) = carry(worker, judge, Equal()).values
    assert bag != Equal.__new__(Node)
    assert bag != 1
    assert worker.notes


def test_instances_of_subclasses_become_plain() -> None:
    class Text(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    class Items(list[int]):
        def __len__(self) -> int:
            return 99

    judge, worker = ends()
    text, items, truth = carry(worker, judge, Text("a"), Items([1]), math.isnan(math.nan)).values
    assert (type(text), type(items), truth) == (str, list, True)
    assert (text, items) == ("a", [1])
    with pytest.raises(Unservable):
        judge.pack([Text("a")])


@given(graphs())
def test_views_show_their_dictionary(objects: list[Any]) -> None:
    judge, worker = ends()
    value = {"a": objects}
    keys, items, values = carry(worker, judge, value.keys(), value.items(), value.values()).values
    assert list(keys) == ["a"]
    assert next(iter(values)) is dict(items)["a"]


WRONG: list[list[Any]] = [
    [-1, "tuple", [-1]],
    [-1, "tuple", [-2]],
    [0, "list"],
    [5, "list"],
    [True, "list"],
    ["a", "list"],
    [-1, "list", ["name", "os", "system"]],
    [-1, "list", ["name", "builtins", "eval"]],
    [-1, "list", ["name", "builtins", "str.__class__"]],
    [-1, "list", ["name", "collections", "deque.append"]],
    [-1, "bag", -7],
    [-1, "dict", "a"],
    [-1, "dict", [-2], 1],
    [-1, "set", [-1]],
    [-1, "nothing"],
    [-1, "class", "m"],
    [-1, "class", 3, "n"],
    [-1, "namedtuple", "P", ["x"], 1, 2],
    [-1, "namedtuple", "P", ["__import__('os')"], 1],
    [1, "dict"],
    [1, "tuple"],
    [-1, "list", 1.5],
    [-1, "list", True],
    [-1, "list", {"a": 1}],
    [-1, "deque", "x"],
]


@pytest.mark.parametrize("entry", WRONG, ids=repr)
def test_a_wrong_entry_is_an_error(entry: list[Any]) -> None:
    judge, worker = ends()
    value = [1]
    carry(judge, worker, value)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, the bridge leaves
        judge.unpack([], [entry], changeable={1})
    assert value == [1]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(
        ["list", "dict", "tuple", "bag", "class", "function", "iterator", "name", "?", "int", "keys", ""]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=3), st.lists(st.lists(JSON, max_size=5), max_size=4))
def test_garbage_changes_nothing_of_the_judges(packed: list[Any], table: list[Any]) -> None:
    judge, worker = ends()
    values = [[1], {"a": (1, 2)}, Node([3]), {4}]
    carry(judge, worker, *values)
    before = repr([values[0], values[1], vars(values[2]), values[3]])
    with suppress(Exception):
        judge.unpack(packed, table, changeable=())
    assert repr([values[0], values[1], vars(values[2]), values[3]]) == before


def test_deep_tuples_are_bounded() -> None:
    judge, _ = ends()
    table: list[list[Any]] = [[-1, "tuple", 1]]
    table += [[-number, "tuple", [1 - number]] for number in range(2, 30_000)]
    with pytest.raises(Malformed):
        judge.unpack([], table)


def test_numbers_of_every_kind() -> None:
    judge, worker = ends()
    values = [Decimal("NaN"), Decimal("-0E-10"), Fraction(-1, 3), 1 << 64, -(1 << 63), math.inf, 5e-324]
    assert [repr(value) for value in carry(judge, worker, *values).values] == [repr(value) for value in values]
    assert carry(judge, worker, -(10**5000)).values == [-(10**5000)]
