"""Speaking the worker's protocol falsely: frames to the judge, past the worker's own code.

With another runner, where there is no such channel, these do nothing.
"""

from __future__ import annotations

import textwrap

from .payload import Payload, attacks

TALK = '''
def worker():
    """The worker's end of the conversation, which is somewhere up the stack."""
    frame = sys._getframe()
    while frame:
        owner = frame.f_locals.get("self")
        if type(owner).__name__ == "_Worker":
            return owner
        frame = frame.f_back
def raw(data):
    worker().channel._socket.sendall(data)
def say(*message):
    import json
    data = json.dumps(message).encode()
    raw(len(data).to_bytes(4, "big") + data)
def hear():
    return worker().channel.receive()
'''
"""For programs: what the worker says and hears."""


def _lie(value: str, table: str = "[]") -> str:
    """A program that answers every call by hand, with a packed value and the objects in it."""
    lie = f"""
    def solve(x):
        while True:
            say("ok", [], [{value}], {table}, [], [])
            hear()
    """
    return TALK + textwrap.dedent(lie)


VALUES = tuple(
    Payload(name, "false answers", "cheated", _lie(*packed))
    for name, packed in {
        "any": ('["name", "unittest.mock", "ANY"]',),
        "eval": ('["name", "builtins", "eval"]',),
        "exit": ('["name", "os", "_exit"]',),
        "operator": ('["name", "operator", "eq"]',),
        "object-eq": ('["name", "builtins", "object.__eq__"]',),
        "dunder-path": ('["name", "builtins", "str.__class__.__subclasses__"]',),
        "module-as-name": ('["name", "builtins", ""]',),
        "own-object-of-the-judge": ("[1]",),
        "unknown-object": ("[-999]",),
        "refused": ('["?", "never mind"]',),
        "no-tag": ("[]",),
        "true": ("True",),
        "float": ("1.5",),
        "nan": ('float("nan")',),
        "dictionary": ("{}",),
        "object-as-class": ("[-1]", '[[-1, "class", "builtins", "int"], [-2, "bag", -1]]'),
        "bag-of-object": ("[-1]", '[[-1, "bag", 0, "__eq__", ["bool", 1]]]'),
        "bag-of-any": ("[-2]", '[[-1, "class", "unittest.mock", "_ANY"], [-2, "bag", -1, "__eq__", 1]]'),
        "bag-with-class": (
            "[-2]",
            '[[-1, "class", "x", "Y"], [-2, "bag", -1, "__class__", ["name", "builtins", "str"]]]',
        ),
        "bag-of-dataclass": ("[-2]", '[[-1, "class", "x", "Y"], [-2, "bag", -1, "__dataclass_fields__", 5]]'),
        "change-of-the-judges": ("None", '[[1, "list", 1, 2, 3], [2, "list"], [1, "dict"]]'),
        "function-for-a-number": ("[-1]", '[[-1, "function", "builtins", "int"]]'),
        "iterator-for-a-list": ("[-1]", '[[-1, "iterator", "generator", "x"]]'),
        "tuple-in-itself": ("[-1]", '[[-1, "tuple", [-1]]]'),
        "unhashable-key": ("[-1]", '[[-1, "dict", [-2], 1], [-2, "list"]]'),
        "default-factory": ("[-1]", '[[-1, "defaultdict", ["name", "builtins", "eval"]]]'),
        "deque-without-bound": ("[-1]", '[[-1, "deque", "x"]]'),
        "named-tuple-code": ("[-1]", '[[-1, "namedtuple", "X(object): import os #", ["a"], 1]]'),
        "named-tuple-of-many": ("[-1]", '[[-1, "namedtuple", "X", ["a" * 500000], 1]]'),
        "numbers-in-text": ("[-1]", '[["-1", "list"]]'),
        "table-of-text": ("[-1]", '"xyz"'),
        "table-of-null": ("[-1]", "None"),
        "large-table": ("None", '[[-i, "list"] for i in range(1, 399_000)]'),
        "decimal-of-many": ('["Decimal", "1e999999999"]',),
        "fraction-by-zero": ('["Fraction", 1, 0]',),
        "range-of-many": ('["range", 0, ["int", "0x" + "f" * 100000], 1]',),
        "large-int": ('["int", "0x" + "f" * 8000000]',),
        "timedelta-of-many": ('["timedelta", 10**9, 10**9, 0]',),
        "slice-of-slices": ('["slice", ["slice", 1, 2, 3], 2, 3]',),
        "bool-of-two": ('["bool", 2]',),
        "deep-values": ('["slice", ' * 900 + "1" + ", 1, 1]" * 900,),
    }.items()
)  # fmt: skip
FRAMES = attacks(
    "false answers",
    "cheated",
    {
        name: TALK + textwrap.dedent(body)
        for name, body in {
            "garbage": "raw(os.urandom(100_000))",
            "no-json": 'raw((4).to_bytes(4, "big") + b"nope")',
            "no-list": 'raw((2).to_bytes(4, "big") + b"{}")',
            "too-long": 'raw(b"\\xff\\xff\\xff\\xff")',
            "half-a-frame": 'raw((100).to_bytes(4, "big") + b"[")\nimport time\ntime.sleep(60)',
            "deep-json": 'raw((200000).to_bytes(4, "big") + b"[" * 200000)',
            "empty-list": "say()",
            "long-number": 'raw((5000002).to_bytes(4, "big") + b"[" + b"9" * 5000000 + b"]")',
            "unknown-kind": 'say("yes", [], [None], [], [], [])',
            "too-few-values": 'say("ok", [], [], [], [], [])',
            "too-many-values": 'say("ok", [], [1, 2], [], [], [])',
            "too-few-parts": 'say("ok", [], [1])',
            "unasked-answers": """
                for _ in range(50):
                    say("ok", [], [None], [], [], [])
            """,
            "stop": 'say("stop", [], [1, 2], [], [], [])',
            "print-nothing": 'say("print")',
            "print-numbers": 'say("print", 1, 2)',
            "print-surrogates": 'say("print", "\\ud800", "\\udfff")',
            "print-flood": """
                import json
                data = json.dumps(["print", "x" * 1_000_000, ""]).encode()
                while True:
                    raw(len(data).to_bytes(4, "big") + data)
            """,
            "print-flood-of-nothing": """
                data = b'["print","",""]'
                while True:
                    raw((len(data).to_bytes(4, "big") + data) * 1000)
            """,
            "notes-flood": 'say("ok", [], [None], [], [], [f"{i} " * 50 for i in range(20000)])',
            "notes-of-failure": 'say("ok", [], [None], [], [], ["failed", ["failed", "x"]])',
            "forget-all": """
                say("ok", [], [None], [], list(range(-10000, 10000)), [])
                hear()
                say("ok", [], [None], [], [[], {}], [])
            """,
            "ask-for-globals": 'say("ask", "get", [1, "__globals__"], [], [], [])\nreturn loot(repr(hear()))',
            "ask-for-code": """
                say("ask", "call", [1, "__getattribute__", 1, []], ["__code__"], [], [])
                return loot(repr(hear()))
            """,
            "ask-to-import": 'say("ask", "import", ["os", []], [], [], [])\nreturn loot(repr(hear()))',
            "ask-for-a-module": 'say("ask", "get", ["test_target", "SECRET"], [], [], [])\nreturn loot(repr(hear()))',
            "ask-nonsense": 'say("ask", {}, {}, {}, {}, {})',
            "ask-endlessly": """
                while True:
                    say("ask", "call", [1, None, 1, []], [20], [], [])
                    hear()
            """,
            "ask-without-listening": """
                while True:
                    say("ask", "call", [1, None, 1, []], [20], [], [])
            """,
            "shutdown": "import socket\nworker().channel._socket.shutdown(socket.SHUT_RDWR)",
            "shutdown-reading": "import socket\nworker().channel._socket.shutdown(socket.SHUT_RD)",
            "close-and-stay": "import time\nworker().channel._socket.close()\ntime.sleep(60)",
            "threads-talk-at-once": """
                import threading
                channel = worker().channel._socket
                def talk():
                    for _ in range(1000):
                        channel.sendall(b"\\0\\0\\0\\2[]")
                for _ in range(4):
                    threading.Thread(target=talk).start()
            """,
            "replay-what-was-heard": """
                import json
                while True:
                    say(*hear())
            """,
        }.items()
    },
)
_FAULT = "[{kind}, 0, [], {text}, {frames}, {origin}, {cause}, {context}, 0, {members}]"
_PLAIN = {
    "kind": "['builtins', 'ValueError', []]",
    "text": "''",
    "frames": "[]",
    "origin": "0",
    "cause": "None",
    "context": "None",
    "members": "[]",
}
FAULTS = attacks(
    "false answers",
    "cheated",
    {
        name: TALK + f"say('fault', [{_FAULT.format(**_PLAIN | parts)}], [], [], [], [])"
        for name, parts in {
            "fault-exit": {"kind": "['_pytest.outcomes', 'Exit', []]"},
            "fault-skip": {"kind": "['builtins', 'Skipped', []]"},
            "fault-xfail": {"kind": "['builtins', 'XFailed', []]"},
            "fault-quit": {"kind": "['bdb', 'BdbQuit', []]"},
            "fault-interrupt": {"kind": "['builtins', 'KeyboardInterrupt', []]"},
            "fault-system-exit": {"kind": "['builtins', 'SystemExit', []]"},
            "fault-no-exception": {"kind": "['builtins', 'int', ['int']]"},
            "fault-of-type": {"kind": "['x', 'Y', ['type']]"},
            "fault-of-eval": {"kind": "['x', 'Y', ['eval']]"},
            "fault-many-bases": {"kind": "['x', 'Y', ['OSError', 'KeyError', 'SyntaxError']]"},
            "fault-comes-back": {"origin": "-1"},
            "fault-of-itself": {"cause": "0", "context": "0"},
            "fault-group-of-itself": {"kind": "['builtins', 'ExceptionGroup', []]", "members": "[0]"},
            "fault-from-nowhere": {"cause": "99", "context": "'x'"},
            "fault-odd-frames": {"frames": "[['\\0x', 'f', 1, [10**9, 1, 1, 1], 0]]"},
            "fault-endless-text": {"text": "'x' * 8000000"},
        }.items()
    },
)
PAYLOADS = (*VALUES, *FRAMES, *FAULTS)
