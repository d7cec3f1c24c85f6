"""The HTML report in a headless Chromium: how fast it opens, and, with ``--screenshots``, what it looks like.

Without a store, one of synthetic rollouts is made. Printed are the seconds to write the report, its size, and, as the
median of five fresh pages, the seconds from navigation to the summary and the list, and to the last chart; then those
from a click to the first trace.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from sft_data import make

from pytest_repoagent.report.page import write_report

REPEATS = 5
SHOWN = (("light", 1200, 1000, "summary"), ("dark", 1100, 640, "trace"), ("light", 390, 700, "phone"))


def main() -> None:
    """Write the report of the store's latest run, and open it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, nargs="?", help="default: a made one of --rollouts rollouts")
    parser.add_argument("--rollouts", type=int, default=2000, help="default: 2,000 of ten steps")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="write report-*.png there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        store = args.store or make(Path(temporary), args.rollouts, 10)[0]
        report = Path(temporary) / "report.html"
        start = time.perf_counter()
        rollouts = write_report(store, [], report)
        seconds = time.perf_counter() - start
        print(f"{rollouts} rollouts, {report.stat().st_size / 1e6:.1f} MB, written in {seconds:.1f} s")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.getuid() == 0 else []
        )
        opened = [_open(browser, report) for _ in range(REPEATS)]
        for name, values in zip(("summary and list", "all charts", "a trace"), zip(*opened, strict=True), strict=True):
            print(f"{name:17} {statistics.median(values):5.2f} s (slowest {max(values):.2f} s)")
        if args.screenshots:
            for scheme, width, height, name in SHOWN:
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
                )
                _open_page(page, report)
                if name != "summary":
                    _first_trace(page)
                    page.keyboard.press("b")
                    page.wait_for_timeout(500)
                page.screenshot(path=args.screenshots / f"report-{name}.png")
        browser.close()


def _open(browser: Browser, report: Path) -> tuple[float, float, float]:
    page = browser.new_page()
    try:
        return (*_open_page(page, report), _first_trace(page))
    finally:
        page.close()


def _open_page(page: Page, report: Path) -> tuple[float, float]:
    start = time.perf_counter()
    page.goto(report.as_uri(), wait_until="commit")
    page.wait_for_selector("#list a")
    listed = time.perf_counter() - start
    page.wait_for_selector("#charts figure:last-child svg")
    return listed, time.perf_counter() - start


def _first_trace(page: Page) -> float:
    """Open the first rollout with a parse error."""
    start = time.perf_counter()
    page.locator("#list a", has_text="parse errors").first.click()
    page.wait_for_selector(".step")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
