"""Odd programs for the comparison of test runners: whatever a model may write, and what it may do to its process."""

from __future__ import annotations

from runner_corpus import BODY, LITTLE, NARROW, PROGRAM, RIGHT, SHORT, WRONG, Case, each

CANNOT_BE_READ = {
    "syntax error": Case("def f(x)\n"),
    "indentation": Case("def f(x):\nreturn 2 * x\n"),
    "tabs and spaces": Case("def f(x):\n\tif x:\n        return 2 * x\n"),
    "unclosed bracket": Case("def f(x):\n    return (2 * x\n"),
    "too many brackets": Case("x = " + "(" * 250 + "1" + ")" * 250 + "\n" + RIGHT),
    "NUL": Case("\0"),
    "NUL in a string": Case("x = '\0'\n" + RIGHT),
    "lone surrogate": Case("s = '\ud800'\n" + RIGHT),
    "unknown coding": Case("# coding: no-such-coding\n" + RIGHT),
    "ascii coding": Case("# coding: ascii\ns = '\u00e9'\n" + RIGHT),
    "coding is no text": Case("# coding: base64\n" + RIGHT),
    "empty": Case(""),
    "only a comment": Case("# nothing\n"),
    "missing name": Case("def g(x): ...\n"),
    "name close to the right one": Case("def ff(x): ...\n"),
    "import error": Case("import nothing_like_it\n" + RIGHT),
    "submodule of no package": Case("import json.nothing.at.all\n" + RIGHT),
    "from-import error": Case("from math import nothing\n" + RIGHT),
    "relative import beyond": Case("from ... import nothing\n" + RIGHT),
    "name error": Case("nothing\n" + RIGHT),
    "assertion": Case("assert 1 == 2, 'words'\n" + RIGHT),
    "error behind an error": Case(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e\n"
    ),
    "own error": Case("class Mine(Exception):\n    pass\nraise Mine(1, 'two')\n"),
    "error in a helper": Case(
        {PROGRAM: "from programs.helper import g\n" + RIGHT, "programs/helper.py": "def g():\n    pass\n\n\ng(1)\n"}
    ),
    "syntax error in a helper": Case({PROGRAM: "import programs.helper\n" + RIGHT, "programs/helper.py": "def g(\n"}),
    "imports itself": Case("from programs.prog import f\n"),
    "recursion": Case("def g():\n    g()\n\n\ng()\n" + RIGHT),
    "expression too deep": Case("x = " + "+".join(["1"] * 50_000) + "\n" + RIGHT),
    "sys.exit": Case("import sys\nsys.exit(0)\n"),
    "SystemExit with words": Case("raise SystemExit('bye')\n"),
    "_exit 0": Case("import os\nos._exit(0)\n"),
    "_exit 3": Case("import os\nos._exit(3)\n"),
    "interrupt": Case("raise KeyboardInterrupt\n"),
    "generator exit": Case("raise GeneratorExit\n"),
    "loop": Case("while True: pass\n", limits=SHORT),
    "loop that outlives SIGXCPU": Case(
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n", limits=SHORT
    ),
    "memory": Case("x = bytearray(1 << 40)\n" + RIGHT),
    "SIGSEGV": Case(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", text="the stack that faulthandler prints"
    ),
}

CAN_BE_READ = {
    "right": Case(RIGHT),
    "byte order mark": Case("\ufeff" + RIGHT),
    "CRLF": Case(RIGHT.replace("\n", "\r\n")),
    "CR": Case(RIGHT.replace("\n", "\r")),
    "form feed": Case("\f" + RIGHT),
    "tabs": Case(RIGHT.replace("    ", "\t")),
    "no newline at the end": Case(RIGHT.strip()),
    "trailing spaces and comments": Case(RIGHT + "   # fin  \n   "),
    "unicode": Case("def f(x):\n    \u00fcber = '\U0001f600'\n" + BODY),
    "latin-1 coding": Case("# coding: latin-1\ndef f(x):\n    return x * len('\u00e9')\n"),
    "long line": Case("x = '" + "y" * 200_000 + "'\n" + RIGHT),
    "many lines": Case("x = 1\n" * 20_000 + RIGHT),
    "sibling": Case(
        {PROGRAM: "from programs.two import TWO\ndef f(x):\n    return TWO * x\n", "programs/two.py": "TWO = 2\n"}
    ),
    "relative sibling": Case(
        {PROGRAM: "from . import two\ndef f(x):\n    return two.TWO * x\n", "programs/two.py": "TWO = 2\n"}
    ),
    "late import": Case(
        {
            PROGRAM: "def f(x):\n    import programs.two\n    return programs.two.TWO * x\n",
            "programs/two.py": "TWO = 2\n",
        }
    ),
    "becomes a package": Case({PROGRAM: RIGHT, "programs/__init__.py": "print('hello')\n"}),
    "a package wins over a module": Case({PROGRAM: WRONG, "programs/prog/__init__.py": RIGHT}),
    "a broken package": Case({PROGRAM: RIGHT, "programs/__init__.py": "1 / 0\n"}),
    "conftest beside it": Case({PROGRAM: RIGHT, "programs/conftest.py": "raise SystemExit\n"}),
    "pytest.ini beside it": Case({PROGRAM: RIGHT, "programs/pytest.ini": "[pytest]\naddopts = --no-such\n"}),
    "sitecustomize beside it": Case({PROGRAM: RIGHT, "programs/sitecustomize.py": "raise SystemExit\n"}),
    "stdlib name beside it": Case({PROGRAM: "import json\n" + RIGHT, "programs/json.py": "raise SystemExit\n"}),
    "a test beside it": Case({PROGRAM: RIGHT, "programs/test_more.py": "def test(): assert 0\n"}),
    "stale bytecode": Case({PROGRAM: RIGHT, "programs/__pycache__/prog.cpython-311.pyc": "nonsense"}),
    "asks where it is": Case(
        "import os\nassert os.path.basename(__file__) == 'prog.py' and __name__ == 'programs.prog'\n" + RIGHT
    ),
    "reads itself": Case("assert 'def f' in open(__file__).read()\n" + RIGHT),
    "inspects itself": Case("import inspect\ndef f(x):\n    return 2 * x if 'def f' in inspect.getsource(f) else 0\n"),
    "reads a file beside it": Case(
        {
            PROGRAM: "from pathlib import Path\nN = Path(__file__).with_name('n.txt')\ndef f(x):\n"
            "    return int(N.read_text()) * x\n",
            "programs/n.txt": "2",
        }
    ),
    "reads a file from the root": Case(
        {PROGRAM: "def f(x):\n    return int(open('programs/n.txt').read()) * x\n", "programs/n.txt": "2"}
    ),
    "lazy attribute": Case(
        "def __getattr__(name):\n    if name == 'f':\n        return lambda x: 2 * x\n    raise AttributeError(name)\n"
    ),
    "lambda": Case("f = lambda x: 2 * x\n"),
    "callable object": Case("class F:\n    def __call__(self, x):\n        return 2 * x\nf = F()\n"),
    "partial": Case("import functools, operator\nf = functools.partial(operator.mul, 2)\n"),
    "bound builtin": Case("f = (2).__mul__\n"),
    "cached": Case("import functools\n@functools.lru_cache\ndef f(x):\n" + BODY),
    "wrapped": Case(
        "import functools\ndef loud(g):\n    @functools.wraps(g)\n    def h(*a):\n        return g(*a)\n    return h\n"
        "@loud\n" + RIGHT
    ),
    "no function": Case("f = 3\n"),
    "None": Case("f = None\n"),
    "another signature": Case("def f(x, y):\n" + BODY),
    "no arguments": Case("def f():\n    return 2\n"),
    "keyword only": Case("def f(*, x):\n" + BODY),
    "coroutine function": Case("async def f(x):\n" + BODY, text="the object's repr: a coroutine cannot cross"),
    "generator function": Case("def f(x):\n    yield 2 * x\n"),
    "returns itself": Case("def f(x):\n    return f\n"),
    "annotations that cannot be evaluated": Case(
        "from __future__ import annotations\ndef f(x: Nothing) -> Nowhere:\n" + BODY
    ),
}

IN_CALL = {
    "wrong": Case(WRONG),
    "returns nothing": Case("def f(x):\n    2 * x\n"),
    "sys.exit": Case(each("import sys\nsys.exit(0)")),
    "sys.exit with words": Case(each("import sys\nsys.exit('words')")),
    "own SystemExit": Case("class Bye(SystemExit):\n    pass\n\n\ndef f(x):\n    raise Bye(0)\n"),
    "_exit 0": Case(each("import os\nos._exit(0)")),
    "_exit 3": Case(each("import os\nos._exit(3)")),
    "_exit in the second test": Case(each("import os\nif x == 2: os._exit(0)")),
    "_exit in a thread": Case(
        each("import os, threading\nt = threading.Thread(target=os._exit, args=(0,))\nt.start(); t.join()")
    ),
    "interrupt": Case(each("raise KeyboardInterrupt")),
    "interrupt in the last test": Case(each("if x == 3: raise KeyboardInterrupt('stop')")),
    "generator exit": Case(each("raise GeneratorExit")),
    "own base exception": Case("class Odd(BaseException):\n    pass\n\n\ndef f(x):\n    raise Odd('words')\n"),
    "loop": Case(each("while x == 2: pass"), limits=SHORT),
    "loop in C": Case(each("import itertools\nsum(itertools.repeat(1))"), limits=SHORT),
    "loop that catches everything": Case(
        each("while x == 2:\n    try:\n        while True: pass\n    except BaseException: pass"), limits=SHORT
    ),
    "recursion": Case("def f(x):\n    return f(x + 1)\n"),
    "mutual recursion": Case("def f(x):\n    return g(x + 1)\n\n\ndef g(x):\n    return f(x + 1)\n"),
    "recursion in repr": Case(
        "class R:\n    def __repr__(self):\n        return repr(self)\n\n\ndef f(x):\n    return 'x' + repr(R())\n",
        text="how deep the recursion went",
    ),
    "recursion that is caught": Case(
        "def g():\n    g()\n\n\ndef f(x):\n    try:\n        g()\n    except RecursionError:\n        return 2 * x\n"
    ),
    "recursion within the limit": Case("def f(x, n=850):\n    return 2 * x if n == 0 else f(x, n - 1)\n"),
    "recursion as deep as it goes": Case(
        "def f(x):\n    try:\n        return f(x + 1)\n    except RecursionError:\n        return x\n",
        text="how deep that is",
    ),
    "recursion with a higher limit": Case(
        "import sys\nsys.setrecursionlimit(20_000)\ndef f(x, n=15_000):\n    return 2 * x if n == 0 else f(x, n - 1)\n"
    ),
    "lower recursion limit": Case("import sys\n\n\ndef f(x):\n    sys.setrecursionlimit(200)\n" + BODY),
    "memory": Case(each("bytearray(1 << 40)")),
    "memory piece by piece": Case(
        each("[bytearray(1 << 20) for _ in range(99999)]"),
        limits=NARROW,
        text="where the memory ends is a matter of chance",
    ),
    "memory that is caught": Case(each("try: bytearray(1 << 40)\nexcept MemoryError: pass")),
    "SIGSEGV": Case(
        each("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"), text="the stack that faulthandler prints"
    ),
    "SIGKILL": Case(each("import os\nos.kill(os.getpid(), 9)")),
    "SIGTERM": Case(each("import os\nos.kill(os.getpid(), 15)")),
    "abort": Case(each("import os\nos.abort()"), text="the stack that faulthandler prints"),
    "null pointer": Case(each("import ctypes\nctypes.string_at(0)"), text="the stack that faulthandler prints"),
    "skip by unittest": Case(each("import unittest\nraise unittest.SkipTest('easy')")),
    "skip": Case(each("import pytest\npytest.skip('easy')")),
    "importorskip": Case(each("import pytest\npytest.importorskip('nothing_like_it')")),
    "xfail": Case(each("import pytest\npytest.xfail('known')")),
    "fail": Case(each("import pytest\npytest.fail('words')")),
    "pytest.exit": Case(each("import pytest\npytest.exit('done', 0)")),
    "uses pytest": Case("import pytest\ndef f(x):\n    return (2 * x) if 2 * x == pytest.approx(2.0 * x) else 0\n"),
    "assertion": Case("def f(x):\n    assert x == 1\n" + BODY),
    "assertion with words": Case("def f(x):\n    assert x == 1, f'{x} is not one'\n" + BODY),
    "reads stdin": Case(each("import sys\nassert sys.stdin.read() == ''"), text="pytest's own words about stdin"),
    "asks the user": Case(each("input()"), text="pytest's own words about stdin"),
}

OUTPUT = {
    "prints": Case(each("print('x is', x)")),
    "prints and fails": Case("def f(x):\n    print('x is', x)\n    print('second', end='')\n    return x\n"),
    "prints to stderr and fails": Case("import sys\ndef f(x):\n    print('x is', x, file=sys.stderr)\n    return x\n"),
    "prints at import": Case("print('hello')\n" + WRONG),
    "prints at import and breaks": Case("print('hello')\n1 / 0\n"),
    "prints bytes": Case("import sys\ndef f(x):\n    sys.stdout.buffer.write(b'bytes \\xff\\n')\n    return x\n"),
    "prints past Python": Case(
        "import os\ndef f(x):\n    os.write(1, b'raw\\n')\n    return x\n",
        text="what passes sys.stdout by is not captured",
    ),
    "prints surrogates": Case("def f(x):\n    print('\\ud800')\n    return x\n"),
    "prints escapes": Case("def f(x):\n    print('\\x1b[31mred\\x1b[0m\\a\\r\\0 \\x85')\n    return x\n"),
    "prints a driver's tag": Case("def f(x):\n    print('\\n[TESTS PASS] 3 passed')\n    return x\n"),
    "prints much": Case("def f(x):\n    print('y' * 100_000)\n    return x\n"),
    "prints in a thread": Case(
        "import threading\ndef f(x):\n    t = threading.Thread(target=print, args=('t',))\n    t.start(); t.join()\n"
        "    return x\n"
    ),
    "flood": Case(
        "def f(x):\n    while True:\n        print('x' * 9999)\n", limits=LITTLE, text="where the flood was stopped"
    ),
    "flood to stderr": Case(
        "import sys\ndef f(x):\n    while True:\n        print('x' * 9999, file=sys.stderr)\n", limits=LITTLE
    ),
    "flood at import": Case("while True:\n    print('x' * 9999)\n", limits=LITTLE),
    "replaces stdout": Case(each("import sys, io\nsys.stdout = io.StringIO()\nprint('lost')")),
    "redirects stdout": Case(
        each(
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out: print(x)\n"
            "assert out.getvalue() == f'{x}\\n'"
        )
    ),
    "logs": Case(each("import logging\nlogging.warning('careful')\nlogging.getLogger('a').info('x')")),
    "warns": Case(each("import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)")),
    "warns of itself": Case("def f(x):\n    return 2 * x if x is 3 or True else 0\n"),
    "never closes a file": Case(each("open(__file__)")),
}

MEDDLES = {
    "daemon thread": Case(
        each("import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()")
    ),
    "thread": Case(each("import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()")),
    "thread that fails": Case(
        each("import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()")
    ),
    "thread that works": Case(
        "import threading\ndef f(x):\n    out = []\n    t = threading.Thread(target=lambda: out.append(2 * x))\n"
        "    t.start()\n    t.join()\n    return out[0]\n"
    ),
    "pool of threads": Case(
        "from concurrent.futures import ThreadPoolExecutor\ndef f(x):\n"
        "    with ThreadPoolExecutor(3) as pool:\n        return sum(pool.map(lambda y: y, [x, x]))\n"
    ),
    "event loop": Case(
        "import asyncio\nasync def g(x):\n    await asyncio.sleep(0)\n    return 2 * x\n"
        "def f(x):\n    return asyncio.run(g(x))\n"
    ),
    "exit handler": Case("import atexit\natexit.register(print, 'bye')\n" + RIGHT),
    "exit handler that hangs": Case("import atexit, time\natexit.register(time.sleep, 99)\n" + RIGHT),
    "exit handler that exits": Case("import atexit, os\natexit.register(os._exit, 1)\n" + RIGHT),
    "state across tests": Case("calls = []\ndef f(x):\n    calls.append(x)\n    return 2 * x + len(calls) - 1\n"),
    "default that remembers": Case("def f(x, seen=[]):\n    seen.append(x)\n    return sum(seen)\n"),
    "right only the first time": Case(
        "done = set()\ndef f(x):\n    done.add(x)\n    return 2 * x if len(done) == 1 else None\n"
    ),
    "seeded random": Case("import random\ndef f(x):\n    random.seed(5)\n    return random.random()\n"),
    "own random": Case("import random\ndef f(x):\n    return random.Random(x).sample(range(100), 5)\n"),
    "hash order": Case("def f(x):\n    return [*{'a', 'b', 'c', 'd', 'e'}], hash('a') % 1000\n"),
    "environment": Case(
        "import os\ndef f(x):\n"
        "    return sorted(k for k in os.environ if k[:6] not in ('PWD', 'PYTEST')), os.environ['TZ']\n"
    ),
    "home is no place of mine": Case(
        each("import os\nassert os.environ['HOME'] == os.environ['TMPDIR'] != os.getcwd()")
    ),
    "changes the environment": Case(each("import os\nos.environ.clear()\nos.environ['A'] = 'b'")),
    "changes the folder": Case(
        each("import os\nos.chdir('/')"),
    ),
    "changes the path": Case(each("import sys\nsys.path[:] = []")),
    "changes the modules": Case(each("import sys\nsys.modules['json'] = sys.modules['os'] = None")),
    "takes an alarm": Case(
        each(
            "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.001)\nfor _ in range(200_000): pass"
        )
    ),
    "ignores signals": Case(
        each("import signal\nfor n in (1, 2, 3, 10, 12, 13, 15): signal.signal(n, signal.SIG_IGN)")
    ),
    "signals itself": Case(
        each("import os, signal\nsignal.signal(signal.SIGUSR1, lambda *a: None)\nos.kill(os.getpid(), signal.SIGUSR1)")
    ),
    "stops collecting": Case(each("import gc\ngc.disable()\ngc.freeze()")),
    "traces": Case(each("import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)")),
    "decimal context": Case(each("import decimal\ndecimal.getcontext().prec = 3")),
    "locale": Case(each("import locale\nlocale.setlocale(locale.LC_ALL, 'C')")),
    "excepthook": Case(each("import sys\nsys.excepthook = sys.unraisablehook = None")),
    "closes all files": Case(
        "import os\nos.closerange(3, 256)\n" + RIGHT, text="the channel that is closed is another one"
    ),
    "changes the argument's type": Case("def f(x):\n    x.y = 1\n"),
    "deletes itself": Case(each("import sys\ndel sys.modules[__name__]")),
    "reloads itself": Case(each("import importlib, sys\nimportlib.reload(sys.modules[__name__])")),
    "module class": Case(
        "import sys, types\nclass M(types.ModuleType):\n"
        "    @property\n    def f(self):\n        return lambda x: 2 * x\nsys.modules[__name__].__class__ = M\n"
    ),
    "replaces itself": Case(
        "import sys\nclass M:\n    def f(self, x):\n        return 2 * x\nsys.modules[__name__] = M()\n"
    ),
}

PROGRAMS = {
    f"{kind}: {name}": case
    for kind, cases in {
        "cannot be read": CANNOT_BE_READ,
        "can be read": CAN_BE_READ,
        "in a call": IN_CALL,
        "output": OUTPUT,
        "meddles": MEDDLES,
    }.items()
    for name, case in cases.items()
}
