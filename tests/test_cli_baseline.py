from __future__ import annotations

import json
from pathlib import Path

import pytest
from store_factory import bad, final, read, rollout, write

from pytest_repoagent.cli import main
from pytest_repoagent.compare.baseline_file import load_baseline
from pytest_repoagent.rollout import Rollout
from pytest_repoagent.settings import SHAPING, Settings
from pytest_repoagent.store.values import COLUMNS
from pytest_repoagent.store.writer import StoreWriter

FILE = Path("eval/baselines/mine.json")


def made(*steps: dict[str, object], **facts: object) -> Rollout:
    """A rollout as a session with two rollouts a task records it."""
    one = rollout(list(steps), settings_hash="0123456789abcdef", **facts)  # type: ignore[arg-type]
    settings = Settings(model=("oracle",), rollouts=2)
    one.run["settings"].update(settings.recorded())
    return one


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreWriter:
    """A run of one task twice, in the default store of the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    writer = StoreWriter(tmp_path / ".repoagent/store.duckdb")
    writer.write(
        [
            made(
                read(), read(ok=False), bad("code_fence", lenient=True), write(), final(), success=True, tokens=(5, 2)
            ),
            made(final(), index=1, loops=2, tokens=(5, 2)),
        ]
    )
    return writer


def test_a_saved_baseline_has_every_rollouts_values(store: StoreWriter, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "save", "last", "mine"]) == 0
    assert "mine.json: written, builtin:novice on quixbugs_heldout, 1 tasks" in capsys.readouterr().out
    file = load_baseline(FILE)
    assert file.tasks == {
        "quixbugs/gcd": {
            "seed": (7.0, 8.0),
            "strict_valid": (0.8, 1.0),
            "lenient_valid": (1.0, 1.0),
            "executed_ok": (0.5, None),
            "parse_errors": (1.0, 0.0),
            "loop_detections": (0.0, 2.0),
            "loop_rate": (0.0, 1.0),
            "reached_write": (1.0, 0.0),
            "pass_rate": (1.0, None),
            "steps": (5.0, 1.0),
            "finished_steps": (5.0, 1.0),
            "tokens": (35.0, 7.0),
            "cost_usd": (None, None),
        }
    }
    assert (file.identity.model, file.identity.settings_hash) == ("builtin:novice", "0123456789abcdef")
    assert set(file.identity.settings) == set(SHAPING)
    assert set(json.loads(FILE.read_text())) == {"schema", "identity", "tasks"}
    assert len(FILE.read_text().splitlines()) == 9 + len(SHAPING) + len(COLUMNS) + 7


def test_show_and_list(store: StoreWriter, capsys: pytest.CaptureFixture[str]) -> None:
    main(["baseline", "save", "run1", "mine"])
    capsys.readouterr()
    assert main(["baseline", "list"]) == 0
    assert capsys.readouterr().out.startswith(
        f"{FILE}: builtin:novice on quixbugs_heldout, 1 tasks, rollouts of each 2"
    )
    for name in ("mine", str(FILE)):
        assert main(["baseline", "show", name]) == 0
        shown = capsys.readouterr().out
        assert "strict_valid     90.0 %" in shown
        assert "parse_errors     1\n" in shown
    assert main(["baseline", "save", "run1", "mine"]) == 0
    assert "replaced" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["save", "run9", "mine"], "no run with the id or tag 'run9'"),
        (["save", "last/oracle", "mine"], "name last/builtin:novice"),
        (["save", "last", "../mine"], "is no name for a baseline"),
        (["save", "last", ".."], "is no name for a baseline"),
        (["save", "last", ".json"], "is no name for a baseline"),
        (["show", "mine"], "eval/baselines/mine.json: cannot be read"),
    ],
)
def test_wrong_usage(store: StoreWriter, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert main(["baseline", *words]) == 4
    assert says in capsys.readouterr().err
    assert not FILE.exists()


def test_a_run_with_several_models_must_be_told_which(store: StoreWriter, capsys: pytest.CaptureFixture[str]) -> None:
    store.write([made(final(), index=i, model="other:m@v2", rollout_id=f"o{i}") for i in range(2)])
    assert main(["baseline", "save", "last", "mine"]) == 4
    assert "name last/builtin:novice or last/other:m@v2" in capsys.readouterr().err
    assert main(["baseline", "save", "last/other:m@v2", "mine"]) == 0
    assert load_baseline(FILE).identity.model == "other:m@v2"


def test_an_incomplete_run_is_no_baseline(store: StoreWriter, capsys: pytest.CaptureFixture[str]) -> None:
    store.write([made(final(), task="quixbugs/lis"), made(task="quixbugs/lis", index=1, outcome="provider_error")])
    assert main(["baseline", "save", "last", "mine"]) == 4
    assert "of 2 rollouts a task, fewer completed and count of quixbugs/lis" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"schema": 2}', "\xff"])
def test_any_other_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    assert main(["baseline", "show", str(path)]) == 4
    assert capsys.readouterr().err.startswith(f"repoagent: {path}: ")
