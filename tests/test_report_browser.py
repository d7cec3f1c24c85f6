"""The HTML report in a real Chromium, with no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import store_factory
from playwright.sync_api import Browser, Page, sync_playwright

from pytest_repoagent.report.page import write_report
from pytest_repoagent.store.writer import StoreWriter

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<!--<script>window.pwned=2</script>-->",
    "</pre></textarea></title><img src=x onerror='window.pwned=3'><svg onload=window.pwned=4>",
    "\"'><iframe srcdoc='<script>top.pwned=5</script>'><a href='javascript:window.pwned=6'>x</a>",
    "${window.pwned=7} {{7*7}} \\u003cscript\\u003e &lt;b&gt; `",
    "a\u2028b\u2029c\u202ed\u2066e\x00f\x1bg",
)


def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript expression is true; Playwright's own wait needs eval, which the report forbids itself."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


@dataclass
class Watched:
    """A page, and what it tried to load, run or complain of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Chromium's own sandbox cannot be had by root; what is shown here is our own page.
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rollouts of two models, and one whose every text is hostile."""
    folder = tmp_path_factory.mktemp("report")
    steps = [store_factory.read(), store_factory.bad("missing_required:content"), store_factory.write()]
    rollouts = [
        store_factory.rollout(
            [*steps, store_factory.final()],
            model=model,
            index=number % 5,
            task=f"quixbugs/task{number // 5:02}",
            success=number % 3 == 0,
            rollout_id=f"{model}-{number:03}",
            tokens=(100, 20),
            text=f"text of {number}",
        )
        for model in ("repair", "novice")
        for number in range(120)
    ]
    hostile = "\n".join(HOSTILE)
    bad = [store_factory.read(), store_factory.bad(HOSTILE[0]), store_factory.final()]
    facts = {"text": hostile, "task": HOSTILE[2], "model": HOSTILE[0], "rollout_id": HOSTILE[3]}
    rollouts.append(store_factory.rollout(bad, success=False, **facts))
    StoreWriter(folder / "store.duckdb").write(rollouts)
    write_report(folder / "store.duckdb", [], folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def watched(browser: Browser, report: Path) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    found = Watched(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("console", lambda message: found.complaints.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: found.complaints.append(dialog.message))
    page.goto(report.as_uri())
    page.wait_for_selector("#list a")
    yield found
    assert found.complaints == []
    assert found.requests == [report.as_uri()]
    context.close()


def test_the_summary_and_all_charts_are_drawn(watched: Watched) -> None:
    until(watched.page, "document.querySelectorAll('#charts svg').length === 5")
    assert watched.page.locator("#summary tbody tr").count() == 3
    row = watched.page.locator("#summary tbody tr", has_text="novice").inner_text()
    assert "75.0 %" in row
    assert "33.3 %" in row


def test_thousands_would_cost_nothing_at_first(watched: Watched) -> None:
    page = watched.page
    assert page.locator("#list a").count() == 100
    assert page.evaluate("[...unpacked.keys()]") == ["overview"]
    for shown in (200, 241):
        page.evaluate("document.querySelector('#list .end').scrollIntoView()")
        until(page, f"document.querySelectorAll('#list a').length === {shown}")


def test_who_scrolls_faster_than_the_list_grows_sees_its_end(watched: Watched) -> None:
    watched.page.evaluate("""
        const scroll = () => document.querySelector('#list .end').scrollIntoView();
        new MutationObserver(scroll).observe(document.querySelector('#list ol'), { childList: true });
        scroll();
    """)
    until(watched.page, "document.querySelectorAll('#list a').length === 241")


def test_a_rollout_is_walked_from_the_list(watched: Watched) -> None:
    page = watched.page
    page.locator("#list a", has_text="novice").first.click()
    page.wait_for_selector(".step")
    assert page.locator(".step").count() == 4
    assert page.evaluate("unpacked.size") == 2
    assert "reply 0 text of 0" in watched.text("[data-step='0'] .sides")
    bad = watched.text("[data-step='1']")
    assert "missing_required:content" in bad
    assert "wrong: text of 0" in bad
    assert page.locator("[data-step='1']").get_attribute("class") == "step bad"
    assert "def gcd(a, b): ..." in watched.text("[data-step='2'] dl")
    assert "6 passed" in watched.text(".tests")
    assert page.locator(".diff .removed, .diff .added").count() == 2
    page.locator(".jump").click()
    until(page, "document.activeElement.dataset.step === '1'")


def test_everything_works_from_the_keyboard(watched: Watched) -> None:
    page = watched.page
    page.locator("#list a").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".step")
    second = page.evaluate("address().rollout")
    assert second == page.locator("#list a").nth(1).get_attribute("data-rollout")
    for key, step in (("j", "0"), ("j", "1"), ("k", "0"), ("b", "1")):
        page.keyboard.press(key)
        until(page, f"document.activeElement.dataset.step === '{step}'")
    page.keyboard.press("n")
    until(page, f"address().rollout !== {second!r}")
    until(page, "document.querySelector('[aria-current]').dataset.rollout === address().rollout")
    assert page.evaluate("address().step") is None


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("arm", "novice", 120),
        ("task", "quixbugs/task03", 10),
        ("outcome", "final", 241),
        ("tests", "pass", 80),
        ("code", "missing_required", 240),
    ],
)
def test_filters_narrow_the_list_and_go_into_the_address(watched: Watched, name: str, value: str, count: int) -> None:
    page = watched.page
    page.select_option(f"select[name={name}]", value)
    until(page, f"document.getElementById('count').textContent.startsWith('{count} ')")
    page.reload()
    until(page, f"document.getElementById('count').textContent.startsWith('{count} ')")
    assert page.locator(f"select[name={name}]").input_value() == value
    del watched.requests[1:]


def test_a_deep_link_opens_a_step(watched: Watched, report: Path) -> None:
    page = watched.page
    page.goto("about:blank")
    page.goto(f"{report.as_uri()}#rollout=novice-007&step=2")
    until(page, "document.activeElement.dataset.step === '2'")
    assert "reply 2 text of 7" in watched.text("[data-step='2']")
    box = page.locator("[data-step='2']").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 800
    page.goto(f"{report.as_uri()}#rollout=gone")
    until(page, "document.getElementById('trace').textContent.includes('no rollout gone')")
    del watched.requests[1:]


def test_hostile_texts_are_shown_and_do_nothing(watched: Watched) -> None:
    page = watched.page
    page.wait_for_selector("#charts svg")
    page.select_option("select[name=arm]", HOSTILE[0])
    until(page, "document.querySelectorAll('#list a').length === 1")
    page.locator("#list a").click()
    page.wait_for_selector(".step")
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    raw = page.locator("[data-step='1'] .sides pre").first.text_content() or ""
    shown = (*HOSTILE[:-1], "aU+2028bU+2029cU+202EdU+2066eU+0000fU+001Bg")
    assert raw == "reply 1 " + "\n".join(shown)
    for place in ("[data-step='1'] .error", "[data-step='0'] pre", "[data-step='1'] details", ".tests", ".diff"):
        assert "window.pwned=1" in (page.locator(place).last.text_content() or ""), place
    page.locator("#charts [aria-roledescription='bar']").last.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    assert (
        page.locator("iframe, img, object, embed, form[action], #trace script, #list script, #trace svg").count() == 0
    )
    assert page.locator("a:not([href^='#'])").count() == 0


def test_its_policy_stops_what_would_get_in(watched: Watched) -> None:
    """The second wall: even markup in the page runs nothing and loads nothing."""
    page = watched.page
    page.evaluate(
        "document.getElementById('trace').innerHTML = "
        '\'<img src="data:image/gif;base64,AAAA" onerror="window.pwned=1">\''
    )
    page.evaluate("fetch('data:text/plain,x').catch(() => { window.refused = true; })")
    until(page, "window.refused")
    assert page.evaluate("window.pwned") is None
    assert len(watched.complaints) >= 2
    watched.complaints.clear()
    del watched.requests[1:]


def test_a_phone_can_read_it(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    page.goto(f"{report.as_uri()}#rollout=novice-007")
    page.wait_for_selector(".step")
    page.wait_for_selector("#charts svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".back").click()
    until(page, "document.activeElement.id === 'list'")
    assert page.evaluate("address().rollout") == "novice-007"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Browser, report: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{report.as_uri()}#rollout=novice-007")
    page.wait_for_selector(".step")
    assert (_luminance(page, "body", "backgroundColor") > 0.5) == (scheme == "light")
    for text, ground in ((".note", "body"), (".step .error", ".step .error"), ("#trace pre", "#trace pre")):
        a, b = sorted([_luminance(page, text, "color"), _luminance(page, ground, "backgroundColor")])
        assert (b + 0.05) / (a + 0.05) >= 4.5, text  # WCAG 2.2, contrast (minimum)
    page.close()


def _luminance(page: Page, selector: str, name: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    color: str = page.locator(selector).first.evaluate(f"(element) => getComputedStyle(element).{name}")
    channels = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
