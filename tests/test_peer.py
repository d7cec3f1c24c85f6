"""The judge's end of the conversation against a worker that may say anything."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repoagent.testrun.split.peer import MAX_BYTES, Channel, Gone
from pytest_repoagent.testrun.split.plain import Unservable
from pytest_repoagent.testrun.split.proxies import Bridge


class _Bridge(Bridge):
    """Raises where the real one ends the process."""

    def gone(self) -> NoReturn:
        raise Gone


class _Told(Exception):
    """The worker said in good form that this was raised."""


def frame(message: Any) -> bytes:
    data = json.dumps(message).encode()
    return len(data).to_bytes(4, "big") + data


class Talk:
    """A bridge, and the other end of its socket."""

    def __enter__(self) -> Talk:
        ours, self.worker = socket.socketpair()
        self.bridge = _Bridge("/work", {"prog.py": "1 / 0\n"})
        self.bridge.connect(ours)
        return self

    def __exit__(self, *error: object) -> None:
        self.worker.close()
        self.bridge.disconnect()

    def call(self, *said: bytes, values: Any = (), end: bool = True) -> Any:
        """Call function 3 of a worker that says all this, and nothing more."""
        for data in said:
            self.worker.sendall(data)
        if end:
            self.worker.shutdown(socket.SHUT_WR)
        return self.bridge.call(3, None, tuple(values), {})

    def asked(self) -> Any:
        """The next message to the worker."""
        return Channel(self.worker).receive()


@pytest.fixture
def talk() -> Iterator[Talk]:
    with Talk() as talk:
        yield talk


def answer(*values: Any, kind: str = "ok", operands: Any = (), table: Any = (), notes: Any = ()) -> bytes:
    return frame([kind, list(operands), list(values), list(table), [], list(notes)])


def fault(**changes: Any) -> bytes:
    link = {
        "facts": ["builtins", "ValueError", ["Exception"]],
        "arguments": 0,
        "attributes": [],
        "text": "",
        "frames": [],
        "origin": 0,
        "cause": None,
        "context": None,
        "suppress": 0,
        "members": [],
    }
    return answer(kind="fault", operands=[list((link | changes).values())])


def test_an_answer(talk: Talk) -> None:
    assert talk.call(answer(7), values=[1, [2]]) == 7
    kind, operation, operands, values, table, forgotten = talk.asked()
    assert (kind, operation, operands[:4]) == ("ask", "call", [3, None, 2, []])
    assert (values, table, forgotten) == ([1, [1]], [[1, "list", 2]], [])


WRONG = [
    b"",
    b"\0\0",
    b"\0\0\0\5[]",
    (MAX_BYTES + 1).to_bytes(4, "big") + b"[",
    frame([]),
    frame({}),
    frame("ok"),
    frame(["ok"]),
    frame(["print"]),
    frame(["print", 1, 2]),
    frame(["print", "x" * (4 << 20), ""]) * 17,
    frame(["ask"]),
    frame(["ask", "call", [1, None, 0, []], [], [], []]),
    frame(["ask", "call", ["x", None, 0, []], [], [], []]),
    frame(["ask", "import", ["os", []], [], [], []]),
    frame(["ask", "get", [-3, "x"], [], [], []]),
    frame(["ask", "call", [1, "__class__", 0, []], [], [], []]),
    b"\0\0\0\2\xff\xff",
    b"\0\0\0\x0a" + b"[" * 10,
    b"\0\1\x86\xa0" + b"[" * 100_000,
    answer(),
    answer(1, 2),
    answer([9]),
    answer(["no such tag"]),
    answer(1.5),
    answer(1, kind="what"),
    answer(1, kind="['ok']"),
    answer(1, notes=[1]),
    answer(1, table=[[1, "list"], [1, "list"]]),
    fault(facts=["prog", "Mine", ["eval"]]),
    fault(facts=["prog", "Mine", ["__import__"]]),
    fault(facts=["prog", 3, ["Exception"]]),
    fault(arguments=3),
    fault(text=3),
    fault(frames=[["\0prog.py", "f", 1, [1, 1, 1], 0]]),
    fault(frames=[["\0prog.py", "f", 1, [-1, 1, 1, 1], 0]]),
    fault(frames=[["\0prog.py", 5, 1, [1, 1, 1, 1], 0]]),
    fault(frames=[["\0prog.py", "f", 1 << 40, [1, 1, 1, 1], 0]]),
    fault(origin=-1),
    fault(cause=7),
    fault(members=[0]),
]


@pytest.mark.parametrize("said", WRONG, ids=[f"{number}-{said[4:40]!r}" for number, said in enumerate(WRONG)])
def test_what_is_no_answer_ends_the_process(said: bytes, talk: Talk) -> None:
    talk.worker.settimeout(10)
    data = [said[first : first + (1 << 16)] for first in range(0, len(said), 1 << 16)]
    if len(said) > 1 << 16:
        talk.worker.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 27)
    if len(said) > 1 << 20:
        _in_thread(talk, data)
    else:
        with pytest.raises(Gone):
            talk.call(*data)


def _in_thread(talk: Talk, data: list[bytes]) -> None:
    import threading

    def send() -> None:
        with suppress(OSError):
            for piece in data:
                talk.worker.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(Gone):
        talk.call(end=False)
    talk.bridge.disconnect()
    sender.join()


WORDS = st.sampled_from(
    [
        *("ok", "fault", "stop", "ask", "print", "call", "get", "list", "tuple", "dict", "bag", "class", "function"),
        *("iterator", "name", "?", "builtins", "ValueError", "SystemExit", "__next__", "\0prog.py", "keys", ""),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-4, 4) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=25,
)
VALUES = st.lists(JSON, max_size=2)
TABLE = st.lists(st.tuples(st.integers(-3, 3), WORDS, JSON, JSON).map(list), max_size=3)
LINK = st.tuples(
    st.tuples(WORDS, WORDS, st.lists(WORDS, max_size=2)),
    st.integers(0, 2),
    st.lists(WORDS, max_size=2),
    WORDS,
    st.lists(
        st.tuples(WORDS, WORDS, st.integers(-1, 5), st.lists(st.none() | st.integers(-1, 9), max_size=5), JSON),
        max_size=2,
    ),
    *(JSON for _ in range(5)),
)
MESSAGES = st.one_of(
    JSON,
    st.tuples(WORDS, JSON, VALUES, TABLE, VALUES, VALUES),
    st.tuples(st.just("fault"), st.lists(LINK, max_size=2), VALUES, TABLE, VALUES, VALUES),
    st.tuples(st.just("ask"), WORDS, JSON, VALUES, TABLE, VALUES),
)


@given(st.lists(MESSAGES, max_size=3))
def test_garbage_gives_values_faults_or_the_end(messages: list[Any]) -> None:
    mine: list[Any] = [1, {"a": 2}]
    told: list[BaseException] = []
    with Talk() as talk, pytest.MonkeyPatch.context() as patch:
        rebuild = talk.bridge.faults.rebuild

        def remember(links: list[Any], values: list[Any]) -> BaseException:
            told.append(rebuild(links, values))
            return told[-1]

        patch.setattr(talk.bridge.faults, "rebuild", remember)
        with suppress(Gone, Unservable, StopIteration, _Told):
            try:
                talk.call(*map(frame, messages), values=[mine])
            except BaseException as error:
                if error in told:
                    raise _Told from error
                raise


def test_the_bytes_of_anything(talk: Talk) -> None:
    with pytest.raises(Gone):
        talk.call(b"GET / HTTP/1.1\r\n\r\n" * 100)


def test_objects_of_earlier_calls_stay_as_they_are(talk: Talk) -> None:
    earlier, now = [1], [2]
    talk.call(answer(None), values=[earlier], end=False)
    with pytest.raises(Unservable, match="outside of any call"):
        talk.call(answer(None, table=[[1, "list", 99], [2, "list", 98]]), values=[now])
    assert (earlier, now) == ([1], [98])
    assert talk.bridge.unservable


def test_only_what_was_given_can_be_called(talk: Talk) -> None:
    called: list[Any] = []
    question = frame(["ask", "call", [1, None, 1, []], [5], [], []])
    assert talk.call(question, answer(1), values=[called.append], end=False) == 1
    assert called == [5]
    with pytest.raises(Gone):
        talk.call(frame(["ask", "call", [1, "__self__", 0, []], [], [], []]), values=[called.append])
    assert called == [5]


def test_a_fault_cannot_show_files_of_the_judge(talk: Talk) -> None:
    frames = [
        [path, "f", 1, [1, 1, 0, 1], 0] for path in ("/etc/passwd", __file__, "\0tests/x.py", "\0../../etc/passwd")
    ]
    with pytest.raises(ValueError, match=r"^$") as info:
        talk.call(fault(frames=frames))
    shown = [entry.frame.code.raw.co_filename for entry in info.traceback][-4:]
    assert shown == ["</etc/passwd>", f"<{__file__}>", "<tests/x.py>", "<../../etc/passwd>"]


def test_a_question_too_large_is_noted_and_the_next_one_works(talk: Talk) -> None:
    with pytest.raises(Unservable):
        talk.call(values=["x" * MAX_BYTES, [1]], end=False)
    assert talk.call(answer(2), values=[[1]]) == 2
    assert len(talk.bridge.unservable) == 1


def test_a_transcript_is_replayed(talk: Talk) -> None:
    said = [answer(7), frame(["print", "", ""]), answer(8)]
    talk.call(said[0], end=False)
    talk.call(*said[1:])
    for changed, same in (([said[0], said[1], answer(9)], False), ([answer(6), *said[1:]], False), (said, True)):
        ours, theirs = socket.socketpair()
        theirs.sendall(b"".join(changed))
        with ours, theirs:
            assert talk.bridge.resume(ours, {"prog.py": ""}) is same


def test_a_worker_that_ends_in_a_replay(talk: Talk) -> None:
    talk.call(answer(7))
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(Gone):
        talk.bridge.resume(ours, {"prog.py": ""})
