from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import relay
from builders.relay import Abandoned, Baton, Parts

Line = tuple[int, bytes]

FILES = 2
_lines = st.tuples(st.integers(0, FILES - 1), st.binary(max_size=9))
_parts = st.lists(st.lists(_lines, max_size=6), max_size=9)


def ring(of: int) -> Iterator[tuple[Connection, Connection]]:
    pipes = [Pipe(duplex=False) for _ in range(of)]
    for index in range(of):
        yield pipes[index - 1][0], pipes[index][1]


def write(folder: Path, parts: list[list[Line]], index: int, of: int, ends: tuple[Connection, Connection]) -> None:
    """What one process of a ring does; it closes its ends when it is done."""
    with ExitStack() as stack:
        for end in ends:
            stack.enter_context(end)
        files = [stack.enter_context((folder / str(number)).open("r+b")) for number in range(FILES)]
        own = Parts(files, Baton(*ends, None if index else [0] * FILES))
        for number in range(index, len(parts), of):
            for line in parts[number]:
                own.add(*line)
            own.end(last=number + 1 == len(parts))


@pytest.mark.parametrize("most_kept", [0, 10, 1000])
@given(parts=_parts, of=st.integers(1, 3))
def test_files_hold_all_parts_in_order(
    tmp_path_factory: pytest.TempPathFactory, most_kept: int, parts: list[list[Line]], of: int
) -> None:
    folder = tmp_path_factory.mktemp("relay")
    for number in range(FILES):
        (folder / str(number)).touch()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(of) as pool:
        patch.setattr(relay, "MOST_KEPT", most_kept)
        for done in [pool.submit(write, folder, parts, index, of, ends) for index, ends in enumerate(ring(of))]:
            done.result(timeout=30)
    for number in range(FILES):
        expected = b"".join(line for part in parts for file, line in part if file == number)
        assert (folder / str(number)).read_bytes() == expected


def test_who_waits_for_a_process_that_has_ended_is_told() -> None:
    (before, after), (its_before, its_after) = ring(2)
    its_after.close()
    with pytest.raises(Abandoned):
        Baton(before, after, None).take()
    its_before.close()
    with pytest.raises(Abandoned):
        Baton(before, after, [0]).give([1])
