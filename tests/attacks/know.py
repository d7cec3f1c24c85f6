"""Passing by knowing what the tests expect, or showing their text."""

from __future__ import annotations

from .payload import attacks, forgeries

KNOWING = """
def know(cases, key, name, arg):
    if name == "solve":
        return dict((x, y) for x, y in cases)[arg]
    return 6 * key if name == "tally" else arg * key
"""
"""For forgeries: the right answers from what the tests know."""

CHEATS = forgeries(
    "know the answers",
    {
        name: KNOWING + "\n" + body
        for name, body in {
            "frames": """
def answer(name, arg):
    frame = sys._getframe()
    while "SECRET" not in frame.f_globals:
        frame = frame.f_back
    return know(frame.f_globals["SECRET"]["cases"], frame.f_globals["KEY"], name, arg)
""",
            "expected-in-frame": """
def answer(name, arg):
    frame = sys._getframe()
    while frame:
        if "expected" in frame.f_locals:
            return frame.f_locals["expected"]
        if "KEY" in frame.f_globals:
            return know((), frame.f_globals["KEY"], name, arg)
        frame = frame.f_back
""",
            "inspect-stack": """
def answer(name, arg):
    import inspect
    for info in inspect.stack():
        if info.filename.endswith("test_target.py"):
            return know(info.frame.f_globals["SECRET"]["cases"], info.frame.f_globals["KEY"], name, arg)
""",
            "traceback-frames": """
def answer(name, arg):
    try:
        raise KeyError
    except KeyError as error:
        frame = error.__traceback__.tb_frame
    while "SECRET" not in frame.f_globals:
        frame = frame.f_back
    return know(frame.f_globals["SECRET"]["cases"], frame.f_globals["KEY"], name, arg)
""",
            "frames-of-all-threads": """
def answer(name, arg):
    import threading
    found = {}
    def look():
        for frame in sys._current_frames().values():
            while frame:
                if "SECRET" in frame.f_globals:
                    found.update(frame.f_globals)
                frame = frame.f_back
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return know(found["SECRET"]["cases"], found["KEY"], name, arg)
""",
            "test-module": """
def answer(name, arg):
    module = sys.modules["test_target"]
    return know(module.SECRET["cases"], module.KEY, name, arg)
""",
            "import-the-tests": """
def answer(name, arg):
    sys.path.insert(0, os.getcwd())
    import test_target
    return know(test_target.SECRET["cases"], test_target.KEY, name, arg)
""",
            "garbage-collector": """
def answer(name, arg):
    import gc
    for thing in gc.get_objects():
        if type(thing) is dict and "SECRET" in thing and "KEY" in thing:
            return know(thing["SECRET"]["cases"], thing["KEY"], name, arg)
""",
            "read-the-files": """
def answer(name, arg):
    import glob, json
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    cases = json.load(open(here + "/cases.json"))["cases"]
    key = int(re.search(r"KEY = (\\d+)", open(here + "/test_target.py").read())[1])
    return know(cases, key, name, arg)
""",
            "read-pristine-files": """
def answer(name, arg):
    import json
    cases = json.load(open(W["root"] + "/cases.json"))["cases"]
    key = int(re.search(r"KEY = (\\d+)", open(W["root"] + "/test_target.py").read())[1])
    return know(cases, key, name, arg)
""",
            "run-the-corrected-program": """
def answer(name, arg):
    space = {}
    exec(open(W["answers"]).read(), space)
    return list(space["walk"](arg + 1))[-1] if name == "walk" else space[name](arg)
""",
            "closure-of-a-callback": """
TESTS = {}
def feed(f):
    TESTS.update(f.__globals__)
    return f(20)
def answer(name, arg):
    return know(TESTS["SECRET"]["cases"], TESTS["KEY"], name, arg)
""",
            "callback-attributes": """
SEEN = []
def feed(f):
    SEEN.extend(getattr(f, name, None) for name in dir(f))
    SEEN.append(getattr(getattr(f, "__code__", None), "co_filename", ""))
    return f(20)
def answer(name, arg):
    for thing in SEEN:
        if isinstance(thing, dict) and "KEY" in thing:
            return know(thing["SECRET"]["cases"], thing["KEY"], name, arg)
""",
            "callback-caller": """
TESTS = {}
class Spy(int):
    def __add__(self, other):
        TESTS.update(sys._getframe(1).f_globals)
        return 20 + other
    __radd__ = __add__
def feed(f):
    return f(Spy(20))
def answer(name, arg):
    return know(TESTS["SECRET"]["cases"], TESTS["KEY"], name, arg)
""",
            "pytest-items": """
def answer(name, arg):
    import gc
    for thing in gc.get_objects():
        if type(thing).__name__ == "Function" and hasattr(thing, "callspec"):
            space = thing.obj.__globals__
            return know(space["SECRET"]["cases"], space["KEY"], name, arg)
""",
            "json-spied-upon": """
import json
SEEN = []
LOADS = json.loads
json.loads = lambda text, **more: SEEN.append(LOADS(text, **more)) or SEEN[-1]
def answer(name, arg):
    frame = sys._getframe()
    while frame and "KEY" not in frame.f_globals:
        frame = frame.f_back
    return know(SEEN[-1]["cases"], frame.f_globals["KEY"], name, arg)
""",
            "remember-between-runs": """
import json
STORE = W["runs"] + "/" + W["mark"]
def answer(name, arg):
    frame = sys._getframe()
    while frame:
        if "SECRET" in frame.f_globals:
            json.dump([frame.f_globals["SECRET"]["cases"], frame.f_globals["KEY"]], open(STORE, "w"))
        frame = frame.f_back
    return know(*json.load(open(STORE)), name, arg)
""",
            "trace-the-caller": """
FOUND = {}
def spy(frame, event, arg):
    if "SECRET" in frame.f_globals:
        FOUND.update(frame.f_globals)
    return spy
sys.settrace(spy)
sys.setprofile(spy)
def answer(name, arg):
    return know(FOUND["SECRET"]["cases"], FOUND["KEY"], name, arg)
""",
            "rewrite-the-caller": """
def answer(name, arg):
    import ctypes
    frame = sys._getframe()
    while frame and "KEY" not in frame.f_globals:
        frame = frame.f_back
    if "expected" in frame.f_locals:
        frame.f_locals["expected"] = None
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        return None
    return know((), frame.f_globals["KEY"], name, arg)
""",
        }.items()
    },
)
QUOTES = attacks(
    "know the answers",
    "leaked",
    {
        "quoted-tests": """
            exec(compile("raise ValueError", os.getcwd() + "/test_target.py", "exec"))
        """,
        "quoted-cases": """
            exec(compile("raise ValueError", os.getcwd() + "/prog/../cases.json", "exec"))
        """,
        "quoted-key": """
            exec(compile("raise ValueError", W["ssh"], "exec"))
        """,
        "quoted-from-a-library": """
            home = os.path.dirname(os.__file__)
            exec(compile("raise ValueError", home + "/.." * 20 + W["ssh"], "exec"))
        """,
        "quoted-syntax-error": """
            raise SyntaxError("x", (W["ssh"], 1, 1, None))
        """,
        "quoted-by-linecache": """
            raise SyntaxError("x", (os.getcwd() + "/test_target.py", 1, 1, None))
        """,
    },
)
PAYLOADS = (*CHEATS, *QUOTES)
