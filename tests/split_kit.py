"""Runs small projects under real pytest: plainly, or with tests and program in processes of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_repoagent.testrun.child import bounded

ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}|\.\.\.(?:a?t)? ?(?:0x)?[0-9a-f]{4,}>")
_RUN = """
import json, os, socket, sys

settings = json.load(open(sys.argv[1]))
bridge = None
if settings["split"]:
    from pytest_repoagent.testrun.split import worker
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        os.chdir(settings["program_folder"])
        worker.Worker(settings["program_folder"]).attend(theirs, [settings["program_folder"]], record=True)
    theirs.close()
os.chdir(settings["work"])
import pytest

class Reporter:
    def __init__(self):
        self.reports = []
    def add(self, report, when, captured):
        unservable = list(bridge.unservable) if bridge else []
        if bridge:
            bridge.unservable.clear()
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        self.reports.append([report.nodeid, when, report.outcome, text, captured, unservable])
    def pytest_collectreport(self, report):
        if report.outcome != "passed":
            self.add(report, "collect", "")
    def pytest_runtest_logreport(self, report):
        self.add(report, report.when, report.capstdout + report.capstderr)

def main():
    global bridge
    sys.path.insert(0, settings["work"])
    if settings["split"]:
        from pytest_repoagent.testrun.split.proxies import Bridge
        bridge = Bridge(settings["work"], settings["program"])
        bridge.connect(ours)
        bridge.install()
    reporter = Reporter()
    folder = settings["work"]
    options = ["-q", "--tb=short", "--show-capture=no", "-p", "no:cacheprovider", "--rootdir=" + folder]
    options.append("--continue-on-collection-errors")
    code = pytest.main([*options, "--confcutdir=" + folder, *settings["arguments"]], plugins=[reporter])
    with open(sys.argv[2], "w") as result:
        json.dump({"reports": reporter.reports, "code": int(code)}, result)

main()
os._exit(0)
"""


@dataclass(frozen=True)
class Report:
    """One report of pytest's.

    Attributes:
        id: of the node.
        when: the phase, or ``collect``.
        outcome: ``passed``, ``failed`` or ``skipped``.
        text: what it says of a failure, without what differs from run to run.
        captured: what was printed.
        unservable: the bridge's reasons since the last report.
    """

    id: str
    when: str
    outcome: str
    text: str
    captured: str
    unservable: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What pytest reported.

    Attributes:
        reports: in order.
        code: pytest's exit code, or the process' where it left early.
        output: what the process printed.
    """

    reports: tuple[Report, ...]
    code: int
    output: str = field(compare=False)


def run(
    folder: Path, tests: Mapping[str, str], program: Mapping[str, str], *, split: bool, arguments: Sequence[str] = ()
) -> Result:
    """Run a project's tests in ``folder``."""
    work, program_folder = folder / "work", folder / "program"
    _write(work, tests if split else {**tests, **program})
    _write(program_folder, program if split else {})
    (folder / "pytest.ini").touch()
    settings, result = folder / "settings.json", folder / "result.json"
    settings.write_text(
        json.dumps(
            {
                "work": str(work),
                "program_folder": str(program_folder),
                "program": dict(program),
                "split": split,
                "arguments": list(arguments),
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-c", _RUN, settings, result],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    if not result.exists():
        return Result((), done.returncode, output)
    told = json.loads(result.read_text())
    reports = tuple(
        Report(node, when, outcome, _clean(text, folder), captured, tuple(notes))
        for node, when, outcome, text, captured, notes in told["reports"]
    )
    return Result(reports, told["code"], output)


def _clean(text: str, folder: Path) -> str:
    text = text.replace(f"{folder}/work/", "").replace(str(folder), "")
    text = re.sub(r"out of \d+\.", "out of all.", text)
    return _ADDRESS.sub("0x", bounded(text))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode("utf-8", "surrogatepass"))
