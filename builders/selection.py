"""Which recorded steps become examples: flags into SQL, and how many steps each rule leaves out.

Only keys and facts are handled here; :mod:`builders.rollouts` then reads and renders what was selected. The tables
made are temporary ones of the connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import duckdb

from builders.choices import RolloutRules, StepRules
from builders.leakage import HeldOut
from pytest_repoagent.conduct import LOOP_FLAGS
from pytest_repoagent.errors import InfrastructureError, ProviderError, UsageError, policy_for
from pytest_repoagent.store import reader

MEMORY_LIMIT = "80MB"
"""What DuckDB holds at most; beyond that it spills into the given folder."""
CHUNK_STEPS = 4096
"""About how many steps are read at once."""
_NAMED = 8  # models or runs of the store in a message

_CONTENT_FLAGS = ["content_elided", "content_syntax_error", "fence_or_line_numbers_in_content"]
_UNTRAINABLE = [
    policy.cause.value
    for policy in map(policy_for, (UsageError(), ProviderError(), AssertionError(), InfrastructureError()))
    if not policy.trainable
]


@dataclass(frozen=True)
class Selected:
    """What was selected.

    Attributes:
        steps: all steps in the store.
        dropped: reason -> steps left out for it; each step has one reason, the first that applies.
        families: family -> selected steps.
        rollouts: with selected steps.
    """

    steps: int
    dropped: Counter[str]
    families: dict[str, int]
    rollouts: int

    @property
    def examples(self) -> int:
        """Selected steps."""
        return sum(self.families.values())


def sql(name: str) -> str:
    """The text of a statement of this package."""
    return resources.files(__package__).joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")


@contextmanager
def open_store(store: Path, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The store for reading in bounded memory; what does not fit goes into the folder ``spill``. Writers wait.

    Raises:
        StoreBusy, UsageError: as :func:`pytest_repoagent.store.reader.connect`.
        InfrastructureError: DuckDB could not go on (a full disk).
    """
    with closing(reader.connect(store)) as connection:
        # one thread: it is as fast for streams, and holds half the memory
        connection.execute(
            f"SET memory_limit = '{MEMORY_LIMIT}'; SET threads = 1; SET SESSION enable_progress_bar = false"
        )
        connection.execute("SET temp_directory = ?", [str(spill)])
        _pack_texts(connection)
        try:
            yield connection
        except duckdb.OperationalError as error:
            reason = str(error).partition("\n")[0]
            raise InfrastructureError(f"{store} could not be read to the end: {reason}") from error


def select_rollouts(connection: duckdb.DuckDBPyConnection, rules: RolloutRules, held_out: HeldOut) -> None:
    """Decide which rollouts may be used at all; those of held-out tasks and families never are.

    Raises:
        UsageError: the store has no rollout of a model or a run that is named.
    """
    _check_recorded(connection, "--model", "model", rules.models)
    _check_recorded(connection, "--run", "run_id", rules.runs)
    tables: dict[str, list[tuple[str, ...]]] = {
        "known_tasks(task_id, family, split)": [(task, *facts) for task, facts in sorted(held_out.known_tasks.items())],
        "heldout_tasks(task_id)": [(task,) for task in sorted(held_out.task_ids)],
        "heldout_families(family)": [(family,) for family in sorted(held_out.families)],
    }
    for table, rows in tables.items():
        name, _, columns = table.removesuffix(")").partition("(")
        connection.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{c} VARCHAR' for c in columns.split(', '))})")
        with connection.appender(name) as appender:
            appender.append_rows(rows)
    connection.execute(
        sql("rollouts"),
        {
            "models": list(rules.models),
            "runs": list(rules.runs),
            "require_success": rules.require_success,
            "untrainable": _UNTRAINABLE,
            "all_programs": not held_out.not_compared,
        },
    )


def select_steps(connection: duckdb.DuckDBPyConnection, rules: StepRules) -> None:
    """Decide which steps of the usable rollouts are examples.

    Raises:
        UsageError: ``where`` is no condition.
    """
    params = {**asdict(rules), "loop_flags": sorted(LOOP_FLAGS), "content_flags": _CONTENT_FLAGS}
    del params["where"]
    try:
        connection.execute(
            f"EXPLAIN SELECT 1 FROM steps s JOIN rollouts r USING (rollout_id) WHERE {_condition(rules)}"
        )
        connection.execute(_steps_sql(rules), params)
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"--where is no condition on steps s and rollouts r of the store: {reason}") from None


def select_every_step(connection: duckdb.DuckDBPyConnection) -> None:
    """Take all steps of the usable rollouts, each with weight 1."""
    connection.execute(sql("every_step"))


def select_asked_steps(connection: duckdb.DuckDBPyConnection, students: Collection[str]) -> None:
    """Take one step of the usable rollouts for each state where one of the students was asked; empty for everybody."""
    connection.execute(sql("asked_steps"), {"students": list(students)})


def selected(connection: duckdb.DuckDBPyConnection) -> Selected:
    """Close the selection, so that :func:`builders.rollouts.read` can be called, and say what is in it."""
    connection.execute(sql("chosen_rollouts"), {"chunk_steps": CHUNK_STEPS})
    reasons = connection.execute(sql("reasons")).fetchall()
    families = connection.execute(sql("families")).fetchall()
    dropped = Counter({reason: steps for reason, steps in reasons if reason is not None})
    [(rollouts,)] = connection.execute("SELECT count(*) FROM chosen_rollouts").fetchall()
    return Selected(sum(steps for _, steps in reasons), dropped, dict(families), rollouts)


def query(rules: StepRules) -> str:
    """The SQL of a selection, for the manifest; the parameters in it are flags of the same names."""
    return f"{sql('rollouts')};\n\n{_steps_sql(rules)};\n"


def query_of_asked_steps() -> str:
    """The same of :func:`select_asked_steps`."""
    return f"{sql('rollouts')};\n\n{sql('asked_steps')};\n"


def _pack_texts(connection: duckdb.DuckDBPyConnection) -> None:
    columns = [name for name, *_ in connection.execute("DESCRIBE steps").fetchall()]
    if "texts" not in columns:
        [(store,)] = connection.execute("SELECT current_database()").fetchall()
        connection.execute(sql("older_steps").format(store='"{}"'.format(store.replace('"', '""'))))


def _check_recorded(connection: duckdb.DuckDBPyConnection, option: str, column: str, named: tuple[str, ...]) -> None:
    query = f"SELECT DISTINCT {column} FROM rollouts WHERE {column} IS NOT NULL ORDER BY 1"
    recorded = [value for (value,) in connection.execute(query).fetchall()]
    for value in named:
        if value not in recorded:
            few = [*recorded[:_NAMED], *(["..."] if len(recorded) > _NAMED else [])]
            raise UsageError(f"{option}={value}: the store has only {', '.join(few) or 'no rollouts'}")


def _steps_sql(rules: StepRules) -> str:
    return sql("steps").replace("{where}", _condition(rules))


def _condition(rules: StepRules) -> str:
    return f"(\n{rules.where}\n)"
