"""Every command, query and option that the documentation shows is run here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import eval_kit
import pairs_kit
import pytest
import rollout_kit
import store_factory

from pytest_repoagent.options import INI, OPTIONS
from pytest_repoagent.rollout import NOT_COUNTED
from pytest_repoagent.store.reader import query
from pytest_repoagent.store.writer import StoreWriter

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    text = "\n".join(page.read_text() for page in PAGES)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    lines = "".join(blocks("console")).splitlines()
    found = [line.removeprefix("$ ") for line in lines if line.startswith(f"$ {program} ")]
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of a few rollouts, the items, and a few of the bundled bugs."""
    folder = tmp_path_factory.mktemp("place")
    steps = [store_factory.bad("code_fence"), store_factory.read(), store_factory.write(), store_factory.final()]
    rollouts = [store_factory.rollout(steps, index=i, success=i == 0) for i in range(2)]
    StoreWriter(folder / ".repoagent/store.duckdb").write([*rollouts, *map(rollout_kit.train_rollout, range(6))])
    pairs_kit.fill(folder / ".repoagent/store.duckdb", ["oracle", "repair", "novice:repair@0.5"], max_iters=12)
    store_factory.trace_file(folder / ".repoagent/traces/run1/gcd.jsonl", store_factory.events(steps))
    for path in ("conftest.py", "eval/test_heldout.py", "eval/minibugs/conftest.py", "eval/minibugs/catalogue.json"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    few = sorted(path.stem for path in (ROOT / "eval/minibugs/python_programs").glob("*.py"))[:4]
    catalogue = folder / "eval/minibugs/catalogue.json"
    entries = json.loads(catalogue.read_text())
    catalogue.write_text(json.dumps({name: entries[name] for name in few}))
    for source in (ROOT / "eval/minibugs").glob("*/*"):
        if source.is_file() and source.stem.removeprefix("test_") in (*few, "load_testdata", "node"):
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    return folder


@pytest.fixture(autouse=True)
def _quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(eval_kit.QUICKER))


@pytest.mark.parametrize("command", commands("pytest"))
def test_a_pytest_command_selects_items(command: str, place: Path) -> None:
    words = shlex.split(command)
    if not any("minibugs" in word for word in words) and "QUIXBUGS_ROOT" not in os.environ:
        pytest.skip("needs QUIXBUGS_ROOT, a copy of QuixBugs")
    if "--resume=last" in words:
        first = [word for word in words[1:] if word != "--resume=last"]
        subprocess.run([BIN / words[0], *first, "-k", "nothing_of_the_kind"], cwd=place, capture_output=True)
    done = subprocess.run(
        [BIN / words[0], *words[1:], "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::test_heldout[" in done.stdout


def test_repoagent_commands_work_in_the_order_shown(place: Path) -> None:
    shown = commands("repoagent")
    assert shown
    for command in shown:
        words = shlex.split(command)
        done = subprocess.run([BIN / words[0], *words[1:]], cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("sql", blocks("sql"))
def test_a_query_gives_rows(sql: str, place: Path) -> None:
    names, rows = query(place / ".repoagent/store.duckdb", sql)
    assert names
    assert rows or "files_touched" in sql


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles(code: str) -> None:
    compile(code, "docs", "exec")


def test_make_targets_exist() -> None:
    shown = {line.split()[2] for line in "".join(blocks("console")).splitlines() if line.startswith("$ make ")}
    assert {"eval", "test"} <= shown
    for target in shown:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_every_option_and_setting_is_in_the_table() -> None:
    text = (ROOT / "docs/options.md").read_text()
    rows = dict(re.findall(r"^\| `--([a-z-]+)[^`]*` \| (.*) \|$", text, re.MULTILINE))
    assert rows == {option.name: option.help for option in OPTIONS}
    settings = re.findall(r"^\| `(repoagent_\w+)` \| (.*) \| `(.*)` \|$", text, re.MULTILINE)
    shown = [
        (name, help, str(default).lower() if isinstance(default, bool) else str(default))
        for name, help, _, default in INI
    ]
    assert settings == shown


def test_every_view_and_outcome_is_documented() -> None:
    views = re.findall(r"CREATE OR REPLACE VIEW (\w+)", (ROOT / "pytest_repoagent/store/views.sql").read_text())
    schema = (ROOT / "docs/schema.md").read_text()
    assert [view for view in views if f"`{view}`" not in schema] == []
    concepts = (ROOT / "docs/concepts.md").read_text()
    for outcome in ("final", "max_iters", "loop", "timeout", "budget", *NOT_COUNTED):
        assert f"| `{outcome}` |" in concepts


def test_every_view_of_the_cookbook_has_an_example() -> None:
    cookbook = "\n".join(
        re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs/sql.md").read_text(), re.MULTILINE | re.DOTALL)
    )
    views = "model_comparison task_matrix parse_error_breakdown tool_breakdown step_histogram run_history cost_by_model"
    assert [view for view in views.split() if not re.search(rf"(?:FROM|PIVOT) {view}\b", cookbook)] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
