"""The live page in a real browser, on a real search while it runs, beside a larger study and a hostile one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboards.front import front_rows
from dashboards.table import write_table
from tests.browser.accessibility import grave_findings
from tests.dashboards.sample import sample_study

pytestmark = pytest.mark.browser
WAIT = 20_000  # milliseconds
TRIALS = 6
EXPERIMENT = f"""
name: running
data: {{name: digits}}
families:
  igcv2: {{stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1, 2], k: 4}}
budget: {{max_macs: 200k}}
references: []
trials: {TRIALS}
training: {{epochs: 3, batch_size: 128, crop_padding: 1, flip: false}}
resources: {{pool: inline, workers: 1}}
tracking: off
"""
ROWS, FACTS = sample_study(60)


def igcv(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *arguments]
    with (folder / f"{arguments[0]}.err").open("w") as errors:
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A search just started, and the page that follows it."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    write_table(folder / "sample.parquet", ROWS, FACTS)
    write_table(folder / "hostile.parquet", *sample_study(40, hostile=True))
    search = igcv(folder, "search", "experiment.yaml")
    page = None
    try:
        wait_for(folder / "runs/running/study.journal")
        page = igcv(folder, "dashboard", "running", "sample.parquet", "hostile.parquet", "--port", "0")
        assert page.stdout
        yield page.stdout.readline().strip()
    finally:
        for process in (search, page):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)  # an ignored SIGINT is inherited
        for process in (search, page):
            if process is not None:
                process.communicate(timeout=60)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not made"
        time.sleep(0.1)


def open_page(browser: Browser, address: str, width: int = 1440, scheme: str = "light") -> tuple[Page, list[str]]:
    """The page, and what went wrong on it or left this machine."""
    dark = "dark" if scheme == "dark" else "light"
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=dark).new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    page.on("request", lambda asked: troubles.append(asked.url) if is_foreign(asked.url) else None)
    page.goto(address)
    return page, troubles


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def wait_for_figure(page: Page) -> None:
    page.wait_for_selector("#figure .main-svg")


def test_the_page_fills_while_trials_end(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=running")
    before = page.locator("#headline").inner_text()
    expect(page.locator("#headline")).to_contain_text(f"{TRIALS} of {TRIALS} trials: {TRIALS} complete")
    assert before != page.locator("#headline").inner_text()
    page.wait_for_selector("#figure .scatterlayer .textpoint")
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert troubles == []


def test_a_click_on_a_point_shows_the_network_and_gets_an_address(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample")
    number = front_rows(ROWS, FACTS.objectives)[0].number
    page.wait_for_selector("#figure .scatterlayer .textpoint")
    hover(page, number)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#panel h2")).to_contain_text(f"#{number} ")
    expect(page.locator("#panel img")).to_be_visible()
    page.wait_for_url(f"**trial={number}%40sample**")
    again, _ = open_page(browser, page.url)
    expect(again.locator("#panel h2")).to_contain_text(f"#{number} ")
    assert troubles == []


def hover(page: Page, number: int) -> None:
    """Over the trial's mark; again, where the figure took its final size in between."""
    for _ in range(50):
        page.locator("#figure .points path").nth(point_of(page, number)).hover(force=True)
        page.wait_for_timeout(200)
        if f"#{number}" in page.locator("#figure .hoverlayer").first.text_content():
            return
    raise AssertionError(f"nothing is told of #{number}")


def point_of(page: Page, number: int) -> int:
    """The place of a trial's mark among all marks of the figure."""
    return int(
        page.evaluate(
            """number => [...document.querySelectorAll('#figure .points path')].findIndex(
                 mark => mark.__data__.data === number)""",
            number,
        )
    )


def test_axes_and_views_are_chosen_and_kept_in_the_address(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample")
    wait_for_figure(page)
    page.locator("#x").click()
    page.get_by_role("option", name="parameters", exact=True).click()
    expect(page.locator("#figure .xtitle")).to_have_text("parameters")
    page.locator("#scale label", has_text="linear").click()
    page.wait_for_url("**x=params**scale=linear**")
    page.wait_for_function("document.querySelector('#figure .js-plotly-plot')._fullLayout.xaxis.type === 'linear'")
    for view in ("Progress", "Curves", "Importance", "Parameters", "Workers", "Failures"):
        page.locator("#view label", has_text=view).click()
        page.wait_for_url(f"**view={ {'Progress': 'hypervolume', 'Parameters': 'parallel'}.get(view, view.lower()) }**")
        wait_for_figure(page)
    failed = sum(row.state == "failed" for row in ROWS)
    expect(page.locator("#below details")).to_have_count(failed)
    assert troubles == []


def test_two_studies_are_compared_in_every_view(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample&beside=running")
    wait_for_figure(page)
    expect(page.locator("#figure .legend")).to_contain_text("running")
    expect(page.locator("#figure .legend")).to_contain_text("sample")
    expect(page.locator("#headline")).to_contain_text(f"running: {TRIALS} of {TRIALS} trials")
    page.locator("#view label", has_text="Progress").click()
    page.wait_for_url("**view=hypervolume**")
    expect(page.locator("#figure .legend .legendtext")).to_have_count(2)
    for view, text in (("Curves", "running"), ("Workers", "running: "), ("Failures", "sample")):
        page.locator("#view label", has_text=view).click()
        expect(page.locator("#figure")).to_contain_text(text)
    page.locator("#view label", has_text="Table").click()
    expect(page.locator("#table thead")).to_contain_text("study")
    page.locator("#search").fill("running")
    expect(page.locator("#table tbody tr")).to_have_count(TRIALS)
    page.locator("#table tbody button").first.click()
    expect(page.locator("#panel")).to_contain_text(", running")
    assert troubles == []


def test_a_third_quantity_is_chosen_as_colour_and_all_pairs_are_shown(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample")
    wait_for_figure(page)
    page.locator("#z").click()
    page.get_by_role("option", name="parameters", exact=True).click()
    page.wait_for_url("**z=params**")
    expect(page.locator("#figure .colorbar")).to_contain_text("parameters")
    page.locator("#choice label", has_text="all pairs").click()
    page.wait_for_url("**choice=all**")
    page.wait_for_selector("#figure .subplot.x3y3")
    expect(page.locator("#z")).not_to_be_visible()
    assert troubles == []


def test_plotly_is_loaded_once(browser: Browser, address: str) -> None:
    asked: list[str] = []
    page = browser.new_context().new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}?study=sample")
    page.wait_for_selector("#figure .main-svg", timeout=WAIT)
    assert sum("plotly.min.js" in url for url in asked) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_grave_to_say(browser: Browser, address: str, scheme: str) -> None:
    page, _ = open_page(browser, f"{address}?study=sample&trial=5@sample", scheme=scheme)
    wait_for_figure(page)
    expect(page.locator("#panel h2")).to_contain_text("#5 ")
    found = grave_findings(page)
    for view, ready in (("Failures", "#below details"), ("Table", "#table tbody tr")):
        page.locator("#view label", has_text=view).click()
        page.locator(ready).first.wait_for()
        found += grave_findings(page)
    compared, _ = open_page(browser, f"{address}?study=sample&beside=hostile&view=trials", scheme=scheme)
    compared.locator("#table tbody tr").first.wait_for()
    assert found + grave_findings(compared) == []


def test_the_table_is_searched_sorted_and_downloaded(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample&view=trials")
    expect(page.locator("#table tbody tr")).to_have_count(25)
    page.locator("#table th button", has_text="accuracy").click()
    best = max(row.accuracy for row in ROWS if row.accuracy is not None)
    expect(page.locator("#table tbody tr").first).to_contain_text(f"{100 * best:.2f} %")
    page.locator("#search").fill("reference")
    expect(page.locator("#table tbody tr")).to_have_count(2)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 3
    page.locator("#table tbody button").first.click()
    expect(page.locator("#panel h2")).to_contain_text("#")
    assert troubles == []


def test_a_narrow_dark_page_does_not_overflow(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=sample&trial=5@sample", width=390, scheme="dark")
    wait_for_figure(page)
    expect(page.locator("#panel h2")).to_contain_text("#5 ")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert troubles == []


def test_hostile_text_does_nothing(browser: Browser, address: str) -> None:
    page, troubles = open_page(browser, f"{address}?study=hostile&trial=5@hostile")
    wait_for_figure(page)
    expect(page.locator("#panel h2")).to_contain_text("<script>")
    for view in page.locator("#view label").all():
        view.click()
        page.wait_for_timeout(700)
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "IGCV search"
    assert troubles == []


def test_another_hosts_name_is_refused(browser: Browser, address: str) -> None:
    answer = browser.new_context().request.get(address, headers={"Host": "evil.example"})
    assert answer.status == 403


def test_a_taken_port_is_said_in_one_line(address: str, tmp_path: Path) -> None:
    write_table(tmp_path / "sample.parquet", ROWS, FACTS)
    port = address.rstrip("/").rpartition(":")[2]
    second = igcv(tmp_path, "dashboard", "sample.parquet", "--port", port)
    second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"--port {port}" in (tmp_path / "dashboard.err").read_text()
