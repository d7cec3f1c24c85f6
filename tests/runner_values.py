"""Programs that raise every kind of exception and return every kind of value, and tests that ask for each."""

from __future__ import annotations

from runner_corpus import Case

EXCEPTIONS = """\
import decimal, io, json, os, re, warnings


class Mine(Exception):
    pass


class Rich(ValueError):
    def __init__(self, code, *, hint):
        super().__init__(code, hint)
        self.code = code

    def __str__(self):
        return f"code {self.code}"


class Two(KeyError, AttributeError):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Unprintable(Exception):
    def __repr__(self):
        return "<unprintable>"


class TimeoutError(Exception):
    "Named like a builtin."


def chained():
    try:
        {}["inner"]
    except KeyError as error:
        raise Mine("outer") from error


def in_context():
    try:
        {}["inner"]
    except KeyError:
        raise Mine("outer")


def suppressed():
    try:
        {}["inner"]
    except KeyError:
        raise Mine("outer") from None


def noted():
    error = Mine("words")
    error.add_note("a note")
    raise error


def raising(error):
    raise error


def deep(n):
    return 1 / 0 if n == 0 else deep(n - 1)


def in_generator():
    def g():
        raise StopIteration("inner")
        yield

    list(g())


def reraised():
    try:
        deep(2)
    except ZeroDivisionError:
        raise


def in_comprehension():
    return [1 / n for n in (1, 0)]


def with_finally():
    try:
        return deep(0)
    finally:
        print("cleaned up")


CASES = {
    "zero": lambda: 1 / 0,
    "key": lambda: {}["a 'quoted' key"],
    "key tuple": lambda: {}[1, "a"],
    "index": lambda: [][3],
    "attribute": lambda: "text".nothing,
    "attribute of None": lambda: None.value,
    "name": lambda: undefined,
    "type": lambda: "a" + 1,
    "not callable": lambda: (lambda n: n())(3),
    "arguments": lambda: deep(),
    "too many arguments": lambda: deep(1, 2),
    "unpack": lambda: (lambda: None)(*3),
    "value": lambda: int("x"),
    "big text": lambda: str(10**5000),
    "unicode decode": lambda: b"\\xff".decode(),
    "unicode encode": lambda: "\\ud800".encode(),
    "no such file": lambda: open("nothing/here"),
    "os error": lambda: raising(OSError(5, "words", "name")),
    "file exists": lambda: raising(FileExistsError("plain")),
    "syntax": lambda: compile("a b", "made.py", "exec"),
    "eval": lambda: eval("1 +"),
    "import": lambda: __import__("nothing_like_it"),
    "json": lambda: json.loads("{"),
    "pattern": lambda: re.compile("("),
    "decimal": lambda: decimal.Decimal("x"),
    "closed": lambda: (lambda s: (s.close(), s.read()))(io.StringIO()),
    "stop iteration": lambda: next(iter([])),
    "stop iteration with a value": lambda: raising(StopIteration(5)),
    "stop in generator": in_generator,
    "overflow": lambda: 2.0**99999,
    "recursion": lambda: raising(RecursionError("words")),
    "memory": lambda: raising(MemoryError()),
    "assertion": lambda: raising(AssertionError()),
    "assertion with words": lambda: raising(AssertionError("words")),
    "assertion with a tuple": lambda: raising(AssertionError((1, 2))),
    "not implemented": lambda: raising(NotImplementedError),
    "no message": lambda: raising(ValueError()),
    "empty message": lambda: raising(ValueError("")),
    "lines": lambda: raising(ValueError("one\\ntwo\\n\\nthree")),
    "control": lambda: raising(ValueError("\\x1b[31mred\\0\\r\\a")),
    "surrogate": lambda: raising(ValueError("\\ud800")),
    "long": lambda: raising(ValueError("x" * 100_000)),
    "several arguments": lambda: raising(ValueError(1, "two", None, 3.5)),
    "odd argument": lambda: raising(ValueError({"a": [1, {2}]}, b"x")),
    "argument that holds itself": lambda: (lambda l: (l.append(l), raising(ValueError(l))))([]),
    "function as argument": lambda: raising(ValueError(len)),
    "mine": lambda: raising(Mine("words")),
    "mine without": lambda: raising(Mine),
    "rich": lambda: raising(Rich(7, hint="try")),
    "two bases": lambda: raising(Two("k")),
    "mute": lambda: raising(Mute("x")),
    "unprintable": lambda: raising(Unprintable("x")),
    "builtin's name": lambda: raising(TimeoutError("x")),
    "real timeout": lambda: raising(__builtins__["TimeoutError"]("x")),
    "group": lambda: raising(ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [Mine("x")])])),
    "base group": lambda: raising(BaseExceptionGroup("several", [KeyboardInterrupt()])),
    "warning": lambda: raising(UserWarning("careful")),
    "no exception": lambda: raising("text"),
    "class that is none": lambda: raising(int),
    "chained": chained,
    "in context": in_context,
    "suppressed": suppressed,
    "noted": noted,
    "deep": lambda: deep(5),
    "reraised": reraised,
    "comprehension": in_comprehension,
    "finally": with_finally,
    "system exit": lambda: raising(SystemExit("words")),
}


def f(name):
    return CASES[name]()
"""

VALUES = """\
import array, collections, dataclasses, datetime, decimal, enum, fractions, functools, itertools, operator, pathlib, re
import types, uuid


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Pair:
    a: int
    b: list


class Plain:
    pass


class Text(str):
    pass


class Number(int):
    def __repr__(self):
        return "a number"


class Items(list):
    pass


def cyclic():
    a = [1]
    a.append(a)
    return a


def shared():
    a = [1]
    return [a, a]


def nested(n):
    a = []
    for _ in range(n):
        a = [a]
    return a


def counted():
    yield from (1, 2)


UTC = datetime.timezone.utc
PLAIN = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "big": 10**400,
    "huge": -(10**4000),
    "float": 0.1,
    "minus zero": -0.0,
    "inf": float("inf"),
    "nan": float("nan"),
    "tiny": 5e-324,
    "complex": complex(1, -0.0),
    "empty text": "",
    "text": "caf\\u00e9\\u2028\\0\\x1b[1m'\\"",
    "surrogate": "a\\ud800",
    "long text": "x" * 100_000,
    "lines": "one\\ntwo\\r\\nthree",
    "bytes": b"\\0\\xff",
    "bytearray": bytearray(b"ab"),
    "list": [1, [2, [3]], ()],
    "tuple": (1,),
    "no tuple": (),
    "dict": {"b": 1, (1, "a"): [2], None: {}, 1.5: b"k", True: 0},
    "set": {1, "a", (2,)},
    "frozenset": frozenset([frozenset(), 3]),
    "range": range(1, 9, 3),
    "slice": slice(1, None),
    "ellipsis": ...,
    "not implemented": NotImplemented,
    "deque": collections.deque([1, 2], 5),
    "ordered": collections.OrderedDict([("z", 1), ("a", 2)]),
    "counter": collections.Counter("abca"),
    "default": collections.defaultdict(list, {"a": [1]}),
    "decimal": decimal.Decimal("1.10"),
    "decimal nan": decimal.Decimal("sNaN"),
    "fraction": fractions.Fraction(1, 3),
    "date": datetime.date(2024, 2, 29),
    "datetime": datetime.datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
    "time": datetime.time(1, 2, fold=1),
    "timedelta": datetime.timedelta(-1, 5, 7),
    "type": int,
    "builtin": len,
    "operator": operator.add,
    "method": str.upper,
    "wide": list(range(5000)),
    "cyclic": cyclic(),
    "shared": shared(),
    "matrix": [[0] * 3] * 3,
}
BY_REFERENCE = {
    "generator": lambda: counted(),
    "iterator": lambda: iter([1, 2]),
    "map": lambda: map(str, [1]),
    "zip": lambda: zip("ab", "cd"),
    "reversed": lambda: reversed([1, 2]),
    "count": lambda: itertools.count(),
    "lambda": lambda: lambda: 1,
    "function": lambda: counted,
    "partial": lambda: functools.partial(int, "5"),
    "enumerate": lambda: enumerate("a"),
    "bound": lambda: [].append,
}
STRANGE = {
    "colour": lambda: Colour.RED,
    "level": lambda: Level.LOW,
    "point": lambda: Point(1, 2),
    "pair": lambda: Pair(1, [2]),
    "plain": lambda: Plain(),
    "own class": lambda: Plain,
    "own text": lambda: Text("a"),
    "own number": lambda: Number(5),
    "own items": lambda: Items([1]),
    "object": lambda: object(),
    "module": lambda: re,
    "match": lambda: re.match("a", "a"),
    "pattern": lambda: re.compile("a"),
    "path": lambda: pathlib.PurePosixPath("a/b"),
    "uuid": lambda: uuid.UUID(int=5),
    "array": lambda: array.array("i", [1]),
    "memoryview": lambda: memoryview(b"a"),
    "keys": lambda: {1: 2}.keys(),
    "items": lambda: {1: 2}.items(),
    "namespace": lambda: types.SimpleNamespace(a=1),
    "proxy": lambda: types.MappingProxyType({1: 2}),
    "exception": lambda: ValueError("x"),
    "deep": lambda: nested(50_000),
    "property": lambda: property(),
    "super": lambda: super,
    "code": lambda: nested.__code__,
    "wide text": lambda: "x" * 9_000_000,
    "many": lambda: list(range(500_000)),
    "enum class": lambda: Colour,
    "generic": lambda: list[int],
    "union": lambda: int | None,
}

def f(name):
    return PLAIN[name] if name in PLAIN else (BY_REFERENCE.get(name) or STRANGE[name])()
"""


def _named(program: str, names: str, assertion: str) -> str:
    """Tests that ask ``program`` for each of its cases."""
    scope: dict[str, dict[str, object]] = {}
    exec(program, scope)
    return (
        "import pytest\nfrom programs.prog import f\n\n\n"
        f'@pytest.mark.parametrize("name", {sorted(scope[names])!r})\ndef test_f(name):\n    {assertion}\n'
    )


NEUTRAL = "def f(x):\n    return 0\n"
UNEQUAL = 'assert f(name) == "something else"'
MANY = {
    "exceptions": Case(EXCEPTIONS, _named(EXCEPTIONS, "CASES", UNEQUAL), pristine=NEUTRAL),
    "plain values": Case(VALUES, _named(VALUES, "PLAIN", UNEQUAL), pristine=NEUTRAL),
    "types of values": Case(VALUES, _named(VALUES, "PLAIN", "assert type(f(name)) is type(name)"), pristine=NEUTRAL),
    "values by reference": Case(
        VALUES, _named(VALUES, "BY_REFERENCE", UNEQUAL), pristine=NEUTRAL, text="the repr of a stand-in"
    ),
    "strange values": Case(VALUES, _named(VALUES, "STRANGE", UNEQUAL), pristine=NEUTRAL, text="the repr of a stand-in"),
}
