"""Programs and objects that misbehave when they are loaded, compared or shown."""

from __future__ import annotations

from .payload import Payload, attacks

ODD = attacks(
    "odd objects",
    "excused",
    {
        "str-raises": """
            class Odd(Exception):
                def __str__(self):
                    raise RuntimeError("no")
                __repr__ = __str__
            raise Odd
        """,
        "str-exits": """
            class Odd(Exception):
                def __str__(self):
                    os._exit(0)
                __repr__ = __str__
            raise Odd
        """,
        "str-interrupts": """
            class Odd(Exception):
                def __str__(self):
                    raise KeyboardInterrupt
                __repr__ = __str__
            raise Odd
        """,
        "str-of-no-string": """
            class Odd(Exception):
                __str__ = lambda self: 7
            raise Odd
        """,
        "str-subclass-as-text": """
            class Text(str):
                def __str__(self): return "[" * 10
                def encode(self, *_): os._exit(0)
                __len__ = __eq__ = __hash__ = encode
            class Odd(Exception):
                __str__ = lambda self: Text("x")
            raise Odd(Text("y"))
        """,
        "args-property": """
            class Odd(Exception):
                args = property(lambda self: 1 / 0)
                __cause__ = property(lambda self: self)
                __context__ = property(lambda self: self)
                __traceback__ = property(lambda self: 1)
            raise Odd
        """,
        "getattribute": """
            class Odd(Exception):
                def __getattribute__(self, name):
                    raise KeyboardInterrupt(name)
            raise Odd
        """,
        "class-lies": """
            class Odd(Exception):
                __class__ = property(lambda self: 1 / 0)
            raise Odd
        """,
        "mro-lies": """
            class Meta(type):
                __mro__ = property(lambda cls: (1,))
                __module__ = property(lambda cls: 1 / 0)
                __qualname__ = __name__ = property(lambda cls: 1 / 0)
                def __instancecheck__(cls, other): raise SystemExit
                def __subclasscheck__(cls, other): raise SystemExit
            class Odd(Exception, metaclass=Meta):
                pass
            raise Odd
        """,
        "module-of-no-string": """
            class Odd(Exception):
                __module__ = 7
            raise Odd
        """,
        "repr-loops": """
            class Odd:
                def __repr__(self):
                    while True:
                        pass
            raise ValueError(Odd())
        """,
        "del-raises": """
            class Odd:
                def __del__(self):
                    os._exit(0)
            raise ValueError(Odd())
        """,
        "returns-a-module": "return sys",
        "returns-a-frame": "return sys._getframe()",
        "returns-a-class": "return type('X', (), {})",
        "deep-list": """
            deep = []
            for _ in range(390_000):
                deep = [deep]
            return deep
        """,
        "deep-tuple": """
            deep = ()
            for _ in range(200_000):
                deep = (deep,)
            return deep
        """,
        "wide": "return [[] for _ in range(500_000)]",
        "colliding-hashes": """
            step = (1 << 61) - 1
            return {i * step for i in range(60_000)}
        """,
        "circle": """
            ring = []
            ring.append({"ring": ring, "self": (ring,)})
            return ring
        """,
        "recursion-unbounded": """
            def down():
                try:
                    down()
                finally:
                    down()
            down()
        """,
        "iterator-that-lies": """
            class Odd:
                def __iter__(self): return self
                def __next__(self): return self
                def __length_hint__(self): return 1 << 60
                def __getattr__(self, name): return self
                def __call__(self, *args, **kwargs): return self
            return Odd()
        """,
        "slots-and-descriptors": """
            class Odd:
                __slots__ = ("a",)
                @property
                def __dict__(self): os._exit(0)
            odd = Odd()
            odd.a = odd
            return odd
        """,
        "named-tuple-with-odd-fields": """
            Odd = type("Odd", (tuple,), {"_fields": ("class", "x y", "_z")})
            return Odd((1, 2, 3))
        """,
        "nul-in-class-name": """
            odd = type("Odd", (), {})
            odd.__module__ = "a\\0b\\ud800"
            odd.__qualname__ = "c\\ud800"
            return odd()
        """,
        "changed-arguments": """
            frame = sys._getframe(1)
            frame.f_locals.clear()
            return frame.f_locals
        """,
    },
)
ENDLESS = tuple(
    Payload(name, "odd objects", "excused", source)
    for name, source in {
        "endless-generator": "def walk(n):\n    while True:\n        yield n\n",
        "endless-growing-generator": "def walk(n):\n    while True:\n        yield 'x' * 1_000_000\n",
        "generator-that-exits": "def walk(n):\n    yield 0\n    os._exit(0)\n",
        "generator-of-itself": "def walk(n):\n    me = walk(n)\n    yield me\n    yield from me\n",
        "sleep-at-import": "import time\ntime.sleep(3600)\n",
        "busy-at-import": "while True:\n    pass\n",
        "stop-at-import": "os.kill(os.getpid(), 19)\n",
        "exit-at-import": "os._exit(0)\n",
        "system-exit-at-import": "raise SystemExit(0)\n",
        "skip-at-import": "import pytest\npytest.skip('no', allow_module_level=True)\n",
        "close-at-import": "os.closerange(0, 256)\n",
        "read-at-import": "os.read(0, 1)\n",
        "kill-at-import": "os.kill(os.getpid(), 9)\n",
        "interrupt-at-import": "raise KeyboardInterrupt\n",
        "flood-at-import": "while True:\n    os.write(1, b'x' * 65536)\n",
        "memory-at-import": "x = []\nwhile True:\n    x.append(bytearray(1 << 20))\n",
        "recursion-at-import": "def f(): f()\nf()\n",
        "syntax-error": "def solve(x:\n",
        "nul-byte": "x = 1\0\n",
        "surrogate": "x = '\ud800'\n",
        "odd-encoding": "# -*- coding: utf-7 -*-\nx = '+AAA-'\n",
        "deep-expression": "x = " + "(" * 5000 + ")" * 5000 + "\n",
        "long-expression": "x = " + "+".join("1" * 20000) + "\n",
        "large-file": "x = '" + "y" * 3_000_000 + "'\n",
        "module-replaces-itself": "import types\nsys.modules[__name__] = types.SimpleNamespace(solve=abs, tally=abs)\n",
        "module-without-names": "del solve, tally\n",
        "module-getattr": "def __getattr__(name):\n    os._exit(0)\ndel solve\n",
    }.items()
)
FILES = tuple(
    Payload(name, "odd objects", "excused", "", files=files)
    for name, files in {
        "pytest-ini-among-files": {"prog/pytest.ini": "[pytest]\naddopts = --collect-only\n"},
        "conftest-among-files": {"prog/conftest.py": "raise SystemExit(0)\n"},
        "sitecustomize-among-files": {"prog/sitecustomize.py": "raise SystemExit(0)\n"},
        "package-among-files": {"prog/__init__.py": "raise SystemExit(0)\n"},
        "module-and-package": {"prog/target/__init__.py": "solve = tally = walk = feed = abs\n"},
        "bytecode-among-files": {"prog/__pycache__/target.cpython-311.pyc": "nonsense"},
        "odd-file-name": {"prog/new\nline.py": "", "prog/\x7f.py": "", "prog/-rf": ""},
        "deep-file": {"prog/" + "d/" * 200 + "x.py": ""},
        "many-files": {f"prog/m{number}.py": "x = 1\n" for number in range(1000)},
    }.items()
)
PAYLOADS = (*ODD, *ENDLESS, *FILES)
