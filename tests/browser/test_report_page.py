"""The report in a real browser: figures draw, clicks answer, nothing leaves the file, hostile text stays text."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from dashboards.front import front_rows
from dashboards.report import write_report
from tests.browser.accessibility import grave_findings
from tests.dashboards.sample import sample_study

pytestmark = pytest.mark.browser
ROWS, FACTS = sample_study(60)
WAIT = 60_000  # milliseconds


def open_page(browser: Browser, path: Path, width: int = 1440, scheme: str = "light") -> tuple[Page, list[str]]:
    """The page, and what went wrong on it or left it."""
    dark = "dark" if scheme == "dark" else "light"
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=dark).new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    page.on("request", lambda asked: troubles.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(path.as_uri())
    page.locator("#figure-front").scroll_into_view_if_needed()
    page.wait_for_selector("#figure-front .main-svg", timeout=WAIT)
    return page, troubles


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, ROWS, FACTS)
    return path


def draw_everything(page: Page) -> None:
    for view in page.locator(".figure").all():
        view.scroll_into_view_if_needed()
        page.wait_for_function("element => element.querySelector('.main-svg')", arg=view.element_handle(), timeout=WAIT)


def test_every_figure_draws_in_every_choice(browser: Browser, path: Path) -> None:
    page, troubles = open_page(browser, path)
    draw_everything(page)
    for button in page.locator(".choices button").all():
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
    assert troubles == []


def test_a_click_on_a_member_opens_it_and_the_theme_turns(browser: Browser, path: Path) -> None:
    page, troubles = open_page(browser, path)
    number = front_rows(ROWS, FACTS.objectives)[0].number
    assert not page.locator(f"#trial-{number} svg").is_visible()
    page.locator("#figure-front .scatterlayer .textpoint", has_text=f"#{number}").first.wait_for(timeout=WAIT)
    page.evaluate(
        "number => document.getElementById('figure-front').emit('plotly_click', {points: [{customdata: number}]})",
        number,
    )
    assert page.locator(f"#trial-{number} svg").is_visible()
    page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert troubles == []


def test_the_table_is_searched_sorted_and_downloaded(browser: Browser, path: Path) -> None:
    page, _ = open_page(browser, path)
    page.locator("#search").fill("reference")
    assert page.locator("#table tbody tr").count() == 2
    page.locator("#search").fill("")
    page.locator("#table th[data-column=accuracy] button").click()
    best = max(row.accuracy for row in ROWS if row.accuracy is not None)
    assert page.locator("#table tbody tr td").nth(1).inner_text() == f"{100 * best:.2f} %"
    with page.expect_download() as download:
        page.locator("#download").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("number,accuracy,macs")
    assert len(lines) == len(ROWS) + 1


def test_a_narrow_dark_page_does_not_overflow(browser: Browser, path: Path) -> None:
    page, troubles = open_page(browser, path, width=390, scheme="dark")
    draw_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_grave_to_say(browser: Browser, path: Path, scheme: str) -> None:
    page, _ = open_page(browser, path, scheme=scheme)
    draw_everything(page)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert grave_findings(page) == []


def test_hostile_text_does_nothing(browser: Browser, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", *sample_study(40, hostile=True))
    page, troubles = open_page(browser, tmp_path / "report.html")
    draw_everything(page)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.locator("#search").fill("script")
    for button in page.locator(".choices button").all():
        button.click()
    page.mouse.move(400, 400)
    assert page.title().startswith("<script>")
    assert page.locator("img").count() == 0
    assert troubles == []
