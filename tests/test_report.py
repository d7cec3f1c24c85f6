from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import store_factory

from pytest_repoagent.cli import main
from pytest_repoagent.report import page
from pytest_repoagent.report.recorded import LOT, Recorded
from pytest_repoagent.store.writer import StoreWriter

ASSETS = Path(page.__file__).parent / "assets"
SINKS = (
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"),
    *("createContextualFragment", "DOMParser", "javascript:", "fetch(", "XMLHttpRequest", "import("),
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of the current folder: a model in two runs, and another in the later one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPOAGENT_STORE", raising=False)
    path = tmp_path / ".repoagent/store.duckdb"
    good = [store_factory.read(), store_factory.write(), store_factory.final()]
    bad = [store_factory.bad("missing_required:content"), store_factory.read(ok=False), store_factory.final()]
    later: dict[str, Any] = {"run_id": "run2", "run_started_at": "2026-11-21T09:00:00+00:00"}
    StoreWriter(path).write(
        [
            store_factory.rollout(good, success=True, rollout_id="first"),
            store_factory.rollout(good, success=True, rollout_id="gcd-0", **later),
            store_factory.rollout(bad, success=False, rollout_id="gcd-1", index=1, **later),
            store_factory.rollout(good, success=True, rollout_id="sqrt-0", task="quixbugs/sqrt", **later),
            store_factory.rollout(bad, outcome="provider_error", rollout_id="spoiled", task="quixbugs/x", **later),
            store_factory.rollout(good, model="repair", rollout_id="other", cost_usd=0.5, tokens=(100, 10), **later),
        ]
    )
    return path


def test_the_latest_run_is_reported_with_rates_over_tasks(store: Path) -> None:
    with Recorded(store, []) as recorded:
        overview = recorded.overview()
    assert [run["run_id"] for run in overview["runs"]] == ["run2"]
    novice, repair = overview["arms"]
    assert (novice["arm"], novice["rollouts"], novice["counted"], novice["tasks"]) == ("builtin:novice", 4, 3, 2)
    assert novice["rates"]["pass_rate"]["mean"] == pytest.approx((0.5 + 1) / 2)
    assert (novice["rates"]["reached_write"]["low"], novice["rates"]["loop_rate"]["high"]) == (0, 1)
    assert novice["rates"]["strict_valid"]["mean"] == pytest.approx((5 / 6 + 1) / 2)
    assert (repair["rates"]["pass_rate"], repair["cost_usd"]) == (None, 0.5)
    assert [(row["code"], row["errors"]) for row in overview["errors"]] == [("missing_required", 1)]
    assert overview["errors"][0]["share"] == pytest.approx(1 / 9)


def test_rollouts_are_listed_with_their_codes_and_first_bad_step(store: Path) -> None:
    with Recorded(store, ["run2"]) as recorded:
        rollouts = {row["id"]: row for row in recorded.overview()["rollouts"]}
    assert rollouts.keys() == {"gcd-0", "gcd-1", "sqrt-0", "spoiled", "other"}
    assert (rollouts["gcd-0"]["first_bad"], rollouts["gcd-0"]["codes"]) == (None, [])
    assert (rollouts["gcd-1"]["first_bad"], rollouts["gcd-1"]["codes"]) == (0, ["missing_required", "not_found"])


def test_a_model_of_several_runs_is_named_with_its_run(store: Path) -> None:
    with Recorded(store, ["run1", "run2"]) as recorded:
        arms = [arm["arm"] for arm in recorded.overview()["arms"]]
    assert arms == ["builtin:novice in run1", "builtin:novice in run2", "repair"]


def test_traces_come_in_lots_in_the_order_asked(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    ids = [f"r{number:03}" for number in range(LOT + 3)]
    steps = [store_factory.read(), store_factory.final()]
    StoreWriter(path).write([store_factory.rollout(steps, rollout_id=id, text=id, success=True) for id in ids])
    backwards = ids[::-1]
    with Recorded(path, []) as recorded:
        lots = list(recorded.lots(backwards))
    assert [len(lot) for lot in lots] == [LOT, 3]
    traces = [trace for lot in lots for trace in lot]
    assert [trace["steps"][0]["raw"] for trace in traces] == [f"reply 0 {id}" for id in backwards]
    assert [trace["tests"][0]["text"] for trace in traces] == [f"tests {id}" for id in backwards]
    assert traces[0]["steps"][0]["action"] == store_factory.READ
    assert traces[0]["ending"]["diff"] == f"--- a\n+++ b\n{backwards[0]}"


def test_nothing_recorded_can_stand_as_markup(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!--<script>\u2028'\"&"
    steps = [store_factory.bad("no_json"), store_factory.final()]
    path = tmp_path / "store.duckdb"
    StoreWriter(path).write([store_factory.rollout(steps, text=hostile, task=hostile, model=hostile)])
    assert page.write_report(path, [], tmp_path / "report.html") == 1
    text = (tmp_path / "report.html").read_text()
    data = dict(re.findall(r'<script type="application/gzip" id="([\w-]+)">([A-Za-z0-9+/=]+)</script>', text))
    assert data.keys() == {"overview", "traces-0"}
    assert json.loads(gzip.decompress(base64.b64decode(data["overview"])))["arms"][0]["model"] == hostile
    outline = _Outline()
    outline.feed(text)
    assert outline.tags.count("script") == len(page.SCRIPTS) + 1 + len(data)
    assert outline.addresses == []
    assert "alert(1)" not in text


class _Outline(HTMLParser):
    """The elements of a page, and every address in it that is not within the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href") and not (v or "").startswith("#")]


@pytest.mark.parametrize("script", page.SCRIPTS)
def test_our_scripts_have_no_way_from_text_to_code(script: str) -> None:
    source = (ASSETS / script).read_text()
    assert [sink for sink in SINKS if sink in source] == []


def test_every_asset_is_used() -> None:
    assert {file.name for file in ASSETS.iterdir()} == {*page.SCRIPTS, "page.html", "style.css"}


def test_an_unknown_run_is_a_usage_error(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "run2", "run9"]) == 4
    assert "no run with the id or tag 'run9'" in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_a_place_that_cannot_be_written_is_a_usage_error(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-o", "nowhere/report.html"]) == 4
    assert "nowhere/report.html cannot be written" in capsys.readouterr().err


def test_without_the_charts_library_it_says_what_to_install(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert main(["report"]) == 4
    assert "pip install 'pytest-repoagent[report]'" in capsys.readouterr().err


def test_show_prints_every_step_and_spells_out_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.duckdb"
    steps = [store_factory.bad("no_json"), store_factory.read(ok=False), store_factory.write(), store_factory.final()]
    hostile = "[bold]x\x1b[31m\u202e\x9b"
    StoreWriter(path).write([store_factory.rollout(steps, success=False, rollout_id="abc", text=hostile)])
    monkeypatch.setenv("COLUMNS", "40")  # a text that is longer is not broken: it may be copied
    assert main(["show", "ab", "--store", str(path)]) == 0
    out = capsys.readouterr().out
    shown = "[bold]x<U+001B>[31m<U+202E><U+009B>"
    for expected in (f"reply 3 {shown}", f"wrong: {shown}", "no_json", "not_found", "tests FAIL", "+++ b", "GOAL:"):
        assert expected in out
    assert not set(out) & {"\x1b", "\u202e", "\x9b"}


def test_show_wants_one_rollout(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "gcd"]) == 4
    assert "several rollouts" in capsys.readouterr().err
    assert main(["show", "nothing"]) == 4
    assert "there is no rollout nothing" in capsys.readouterr().err
