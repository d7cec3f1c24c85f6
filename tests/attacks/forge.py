"""Passing without being right: fooling the comparison, changing the judge, leaving early."""

from __future__ import annotations

from .payload import attacks, forgeries

EQUAL = forgeries(
    "fool the comparison",
    {
        "always-equal": """
class Yes:
    def __eq__(self, other): return True
def answer(name, arg): return Yes()
""",
        "equal-metaclass": """
class Meta(type):
    def __eq__(self, other): return True
    def __hash__(self): return 0
class Yes(metaclass=Meta): pass
def answer(name, arg): return Yes
""",
        "mock-any": """
def answer(name, arg):
    from unittest.mock import ANY
    return ANY
""",
        "magic-mock": """
def answer(name, arg):
    from unittest.mock import MagicMock
    mock = MagicMock()
    mock.__eq__.return_value = True
    return mock
""",
        "lying-class": """
class Yes:
    __class__ = property(lambda self: int)
    def __eq__(self, other): return True
    def __ne__(self, other): return False
def answer(name, arg): return Yes()
""",
        **{
            f"{base}-subclass": f"""
class Yes({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return hash("0")
    __lt__ = __gt__ = __le__ = __ge__ = __eq__
def answer(name, arg): return Yes()
"""
            for base in ("str", "int", "float", "list", "tuple", "dict", "set", "bytes", "complex", "range")[:9]
        },
        "equal-through-number": """
import decimal, fractions
class Yes(fractions.Fraction):
    def __eq__(self, other): return True
def answer(name, arg): return Yes(1)
""",
        "namedtuple-equal": """
import collections
class Yes(collections.namedtuple("Yes", "x")):
    def __eq__(self, other): return True
def answer(name, arg): return Yes(1)
""",
        "enum-equal": """
import enum
class Yes(enum.IntEnum):
    ONE = 1
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def answer(name, arg): return Yes.ONE
""",
        "dataclass-equal": """
import dataclasses
@dataclasses.dataclass(eq=False)
class Yes:
    x: int = 1
    def __eq__(self, other): return True
def answer(name, arg): return Yes()
""",
        "deque-equal": """
import collections
class Yes(collections.UserList):
    def __eq__(self, other): return True
def answer(name, arg): return Yes()
""",
    },
)
PATCHED = forgeries(
    "change the judge",
    {
        "json-loads": """
import json
class Yes:
    def __eq__(self, other): return True
    def __mul__(self, other): return self
    __rmul__ = __mul__
json.loads = lambda *_, **__: {"cases": [(x, Yes()) for x in range(5)]}
def answer(name, arg):
    sys.modules["test_target"].KEY = 0
    return None if name == "solve" else 0
""",
        "runtest": """
import _pytest.python
_pytest.python.Function.runtest = lambda self: None
def answer(name, arg): return None
""",
        "report-outcome": """
import _pytest.reports
make = _pytest.reports.TestReport.from_item_and_call.__func__
def passing(cls, item, call):
    call.excinfo = None
    return make(cls, item, call)
_pytest.reports.TestReport.from_item_and_call = classmethod(passing)
def answer(name, arg): return None
""",
        "call-info": """
import _pytest.runner
plain = _pytest.runner.CallInfo.from_call.__func__
def calm(cls, func, when, reraise=None):
    def quiet():
        try:
            return func()
        except BaseException:
            return None
    return plain(cls, quiet, when, reraise)
_pytest.runner.CallInfo.from_call = classmethod(calm)
def answer(name, arg): return None
""",
        "test-code": """
def answer(name, arg):
    module = sys.modules["test_target"]
    module.test_solve.__code__ = (lambda x, expected: None).__code__
    module.test_tally.__code__ = module.test_walk.__code__ = (lambda: None).__code__
    return {0: f"0-{module.KEY}"}.get(arg)
""",
        "test-code-by-gc": """
import gc
def answer(name, arg):
    frame = sys._getframe()
    while "KEY" not in frame.f_globals:
        frame = frame.f_back
    key = frame.f_globals["KEY"]
    for thing in gc.get_objects():
        if type(thing).__name__ == "function" and thing.__name__ in ("test_tally", "test_walk"):
            thing.__code__ = (lambda: None).__code__
    return f"{arg * arg}-{key}" if name == "solve" else None
""",
        "make-report-hook": """
import gc
def hide(item, call):
    from _pytest.reports import TestReport
    call.excinfo = None
    return TestReport.from_item_and_call(item, call)
for thing in gc.get_objects():
    if type(thing).__name__ != "HookImpl" or thing.hookwrapper or thing.wrapper:
        continue
    if thing.function.__name__ == "pytest_runtest_makereport":
        thing.function = hide
        thing.argnames = ("item", "call")
def answer(name, arg): return None
""",
        "compile-hook": """
import _pytest.assertion.rewrite as rewrite
rewrite.rewrite_asserts = lambda tree, *_: [setattr(node, "body", [__import__("ast").Pass(lineno=1, col_offset=0)])
    for node in tree.body if getattr(node, "name", "").startswith("test_")]
import _pytest.python
_pytest.python.pytest_pyfunc_call = lambda pyfuncitem: True
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "HookImpl" and thing.function.__name__ == "pytest_pyfunc_call":
        thing.function = lambda pyfuncitem: True
        thing.argnames = ("pyfuncitem",)
def answer(name, arg): return None
""",
        "report-writer": """
import gc
def answer(name, arg):
    import json
    for thing in gc.get_objects():
        if type(thing).__name__ == "Reporter":
            plain = thing.send
            def send(kind, **fields):
                if kind == "report":
                    fields.update(outcome="passed", xfail=False, text="", stdout="")
                plain(kind, **fields)
            thing.send = send
    return None
""",
        "forged-events": """
import gc, json
def answer(name, arg):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Reporter":
            ids = [f"test_target.py::test_solve[{x}-{x * x}]" for x in range(5)]
            session = next(o for o in gc.get_objects() if type(o).__name__ == "Session" and hasattr(o, "items"))
            for item in session.items[1:]:
                for when in ("setup", "call", "teardown"):
                    if not (item is session.items[1] and when == "setup"):
                        thing.send("report", id=item.nodeid, when=when, outcome="passed", xfail=False,
                            subtest=False, text="", stdout="")
            thing.send("finished")
            os._exit(0)
""",
        "events-on-every-descriptor": """
import gc, json
def answer(name, arg):
    nonces = {thing._prefix for thing in gc.get_objects() if type(thing).__name__ == "Reporter"}
    sessions = [o for o in gc.get_objects() if type(o).__name__ == "Session" and hasattr(o, "items")]
    ids = [item.nodeid for session in sessions for item in session.items[1:]]
    for nonce in nonces or [""]:
        lines = []
        for i, name in enumerate(ids):
            for when in ("setup", "call", "teardown"):
                if i or when != "setup":
                    lines.append({"kind": "report", "id": name, "when": when, "outcome": "passed", "xfail": False,
                        "subtest": False, "text": "", "stdout": ""})
        lines.append({"kind": "finished"})
        data = "".join(nonce + json.dumps(line) + "\\n" for line in lines).encode()
        for fd in range(3, 64):
            try:
                os.write(fd, data)
            except OSError:
                pass
    os._exit(0)
""",
        "only-the-first-test": """
import gc
def answer(name, arg):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Session" and hasattr(thing, "items"):
            for item in thing.items:
                item.runtest = lambda: None
            key = thing.items[0].obj.__globals__["KEY"]
            return f"0-{key}"
""",
    },
)
LEAVE = attacks(
    "leave early",
    "cheated",
    {
        "exit-0": "sys.exit(0)",
        "os-exit-0": "os._exit(0)",
        "os-exit-3": "os._exit(3)",
        "c-exit": "libc()._exit(0)",
        "kill-self": "os.kill(os.getpid(), 9)",
        "segfault": "import ctypes; ctypes.string_at(0)",
        "abort": "os.abort()",
        "skip": "import pytest; pytest.skip('not today')",
        "xfail": "import pytest; pytest.xfail('known')",
        "pytest-exit": "import pytest; pytest.exit('done', returncode=0)",
        "importorskip": "import pytest; pytest.importorskip('no_such_module')",
        "unittest-skip": "import unittest; raise unittest.SkipTest('no')",
        "keyboard-interrupt": "raise KeyboardInterrupt",
        "system-exit-none": "raise SystemExit(None)",
        "generator-exit": "raise GeneratorExit",
        "stop-iteration": "raise StopIteration",
        "base-exception": """
            class Odd(BaseException):
                pass
            raise Odd
        """,
        "alarm-then-exit": """
            import signal, time
            signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            time.sleep(1)
        """,
        "exit-in-a-thread": """
            import threading, time
            threading.Thread(target=os._exit, args=(0,)).start()
            time.sleep(1)
        """,
        "exit-at-exit": "import atexit; atexit.register(os._exit, 0)",
        "close-everything": "os.closerange(0, 256)",
        "skip-instance": """
            import _pytest.outcomes
            error = _pytest.outcomes.Skipped("no")
            error.allow_module_level = True
            raise error
        """,
        "impersonated-skip": """
            Skipped = type("Skipped", (BaseException,), {"__module__": "_pytest.outcomes", "msg": "no"})
            raise Skipped("no")
        """,
    },
)
PAYLOADS = (*EQUAL, *PATCHED, *LEAVE)
