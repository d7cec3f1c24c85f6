"""Held out means held out: by task, by family, and by what the texts of a rollout show.

There is no way around it. A task or family that any known suite, or the store itself, has on the held-out side is
never an example, whatever the run it was recorded in said.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import duckdb

from builders.fingerprints import Match, Programs
from pytest_repoagent import bundled
from pytest_repoagent.errors import SourceError
from pytest_repoagent.protocol.actions import Message
from pytest_repoagent.sources import open_source
from pytest_repoagent.sources.base import SourceContext, default_cache_dir
from pytest_repoagent.suites import Suite, find_suite, load_suite


@dataclass(frozen=True)
class HeldOut:
    """What no example may come from or show.

    Attributes:
        task_ids, families: on the held-out side of a suite.
        known_tasks: task id -> family and split, of every suite with a split.
        programs: the buggy and corrected programs of held-out tasks.
        compared: names of the held-out suites whose programs those are.
        not_compared: held-out suite -> why its programs are not among them.
    """

    task_ids: frozenset[str]
    families: frozenset[str]
    known_tasks: Mapping[str, tuple[str, str]]
    programs: Programs
    compared: tuple[str, ...]
    not_compared: Mapping[str, str]

    def collision(self, messages: Iterable[Message]) -> str | None:
        """Which held-out program a rollout's messages show, and how; None where they show none."""
        for message in messages:
            if match := self._match(message["role"], message["content"]):
                return f"{match.name} ({match.how})"
        return None

    @cached_property
    def _match(self) -> Callable[[str, str], Match | None]:
        """Of a message's role and content; remembered, as rollouts of one task share their messages."""

        def match(role: str, content: str) -> Match | None:
            for text in _shown(role, content):
                if found := self.programs.match(text):
                    return found
            return None

        return lru_cache(maxsize=4096)(match)


def load(connection: duckdb.DuckDBPyConnection, suites: Sequence[str], quixbugs: str | None) -> HeldOut:
    """What is held out from rollouts of this store.

    The bundled programs are always compared, others where the store has training rollouts of their source, or imported
    ones, or where a copy of them is at hand.

    Args:
        connection: the store.
        suites: names or paths of suites besides the bundled ones.
        quixbugs: a copy of QuixBugs, as in :class:`pytest_repoagent.sources.base.SourceContext`.

    Raises:
        SuiteError: there is no such suite, or it is wrong.
        SourceError: the programs of a held-out suite are needed and cannot be had.
    """
    folder = bundled.suites_dir()
    paths = [*sorted(folder.glob("*.json")), *(find_suite(name, [folder]) for name in suites)]
    split = [suite for suite in map(load_suite, dict.fromkeys(paths)) if suite.split != "master"]
    held_out = [suite for suite in split if suite.split == "heldout"]
    sources = _recorded_sources(connection)
    programs: list[tuple[str, str]] = []
    compared: list[str] = []
    not_compared: dict[str, str] = {}
    for suite in held_out:
        at_hand = suite.source == "minibugs" or quixbugs or os.environ.get("QUIXBUGS_ROOT")
        if not at_hand and suite.source not in sources and None not in sources:
            not_compared[suite.name] = f"the store has no training rollout of {suite.source}"
            continue
        try:
            programs += _programs(suite, quixbugs)
            compared.append(suite.name)
        except SourceError as error:
            if suite.source in sources:
                raise
            not_compared[suite.name] = str(error)
    recorded = connection.execute("SELECT DISTINCT task_id, family FROM rollouts WHERE split = 'heldout'").fetchall()
    tasks = [(task.task_id, task.family) for suite in held_out for task in suite.tasks]
    return HeldOut(
        task_ids=frozenset(name for task_id, _ in [*tasks, *recorded] if task_id for name in _names(task_id)),
        families=frozenset(family for _, family in [*tasks, *recorded] if family),
        known_tasks={
            name: (task.family, suite.split) for suite in split for task in suite.tasks for name in _names(task.task_id)
        },
        programs=Programs(programs),
        compared=tuple(compared),
        not_compared=not_compared,
    )


def _recorded_sources(connection: duckdb.DuckDBPyConnection) -> set[str | None]:
    """Where the store's tasks come from that are not held out; None among them for imported ones, which do not say."""
    found = connection.execute(
        "SELECT DISTINCT source, split_part(task_id, '/', 1) FROM rollouts WHERE split IS DISTINCT FROM 'heldout'"
    ).fetchall()
    return {name for source, prefix in found for name in ((source, prefix) if source else (None,))}


def _names(task_id: str) -> tuple[str, str, str]:
    """What a task is called: in full, and as old traces do."""
    bare = task_id.rpartition("/")[2]
    return task_id, bare, f"fix_{bare}"


def _programs(suite: Suite, quixbugs: str | None) -> list[tuple[str, str]]:
    source = open_source(SourceContext(quixbugs, suite, default_cache_dir()))
    found = []
    for task in suite.tasks:
        files = source.files(task)
        texts = [(files.root / path).read_text(errors="replace") for path in task.expected_files if path in files.paths]
        fixed = source.fix(task).values() if task.fix or task.fix_commit else ()
        found += [(task.task_id, text) for text in (*texts, *fixed)]
    return found


def _shown(role: str, text: str) -> list[str]:
    """The texts in which a program would stand: of an assistant's JSON, all its strings; of anything else, itself."""
    if role != "assistant":
        return [text]
    try:
        parts = [_DECODER.decode(text)]
    except (ValueError, RecursionError):
        return [_ESCAPED.sub(lambda found: _MEANT[found[1]], text)]
    strings = []
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            strings.append(part)
        elif isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return strings


_DECODER = json.JSONDecoder(strict=False)
_ESCAPED = re.compile(r'\\([nt"\\])')
_MEANT = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
