"""MLflow's own page in a real browser, on a real server: one filter shows the front, the report opens, text stays text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect

from dashboards.front import front_rows
from dashboards.report import write_report
from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import VIEW, front_page, open_command, tracking_uri
from orchestrator.tracking.sync import sync_study
from tests.dashboards.sample import HOSTILE, sample_study
from tests.orchestrator.tracking.serving import Server

pytestmark = pytest.mark.browser
WAIT = 60_000  # milliseconds
ROWS, FACTS = sample_study(30)
ODD_ROWS, ODD_FACTS = sample_study(30, hostile=True)
ODD_ROWS = [replace(row, parameters={"igcv2.width": HOSTILE}) for row in ODD_ROWS]  # MLflow takes no odd names of them


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that holds a study and a hostile one."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = tracking_uri("local", folder)
    assert uri is not None
    for rows, facts in ((ROWS, FACTS), (ODD_ROWS, ODD_FACTS)):
        write_report(folder / "report.html", rows, facts)
        assert not sync_study(uri, folder, rows, facts).refused
    return uri


@pytest.fixture(scope="module")
def server(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As `igcv track` says to start it, at another port."""
    command = shlex.split(open_command(uri))
    assert command[-2] == "--port"
    server = Server(command[:-2], tmp_path_factory.mktemp("log") / "log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def experiment(uri: str, facts: StudyFacts) -> str:
    found = MlflowClient(uri).get_experiment_by_name(facts.study)
    assert found is not None
    return str(found.experiment_id)


def study_run(uri: str, facts: StudyFacts) -> str:
    runs = MlflowClient(uri).search_runs([experiment(uri, facts)], "tags.kind = 'study'")
    return str(runs[0].info.run_id)


def open_page(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """The page, and what scripts said on it."""
    page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    troubles: list[str] = []
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    page.goto(address)
    return page, troubles


def run_names(page: Page) -> set[str]:
    return {text.strip() for text in page.locator("[role=row] a[href*='/runs/']").all_inner_texts()}


def test_one_filter_shows_the_front(browser: Browser, server: Server, uri: str) -> None:
    page, _ = open_page(browser, f"{server.url}/{front_page(experiment(uri, FACTS))}")
    members = {row.name for row in front_rows(ROWS, FACTS.objectives)}
    page.locator("[role=row] a[href*='/runs/']").nth(len(members) - 1).wait_for()
    assert run_names(page) == members
    expect(page.get_by_text(f"{len(members)} matching runs")).to_be_visible()


def test_the_filter_typed_by_hand_finds_the_same(browser: Browser, server: Server, uri: str) -> None:
    page, _ = open_page(browser, f"{server.url}/#/experiments/{experiment(uri, FACTS)}/runs{VIEW}")
    search = page.get_by_placeholder("metrics.rmse < 1 and params.model = ")
    search.wait_for()
    search.fill("tags.front = 'true'")
    search.press("Enter")
    members = front_rows(ROWS, FACTS.objectives)
    expect(page.get_by_text(f"{len(members) + 1} matching runs")).to_be_visible()  # with the study's own


def test_the_description_leads_to_the_front_and_the_report_opens(browser: Browser, server: Server, uri: str) -> None:
    run = f"{server.url}/#/experiments/{experiment(uri, FACTS)}/runs/{study_run(uri, FACTS)}"
    page, troubles = open_page(browser, f"{run}{VIEW}")
    expect(page.get_by_text("What was found.")).to_be_visible()
    page, troubles = open_page(browser, f"{run}/artifacts/report.html{VIEW}")
    report = page.frame_locator("iframe")
    expect(report.locator("#summary")).to_contain_text("on the front of accuracy and MACs")
    report.locator("#figure-front").scroll_into_view_if_needed()
    report.locator("#figure-front .main-svg").first.wait_for()
    assert troubles == []


def test_hostile_text_does_nothing(browser: Browser, server: Server, uri: str) -> None:
    address = f"{server.url}/#/experiments/{experiment(uri, ODD_FACTS)}/runs"
    study, failed = study_run(uri, ODD_FACTS), _run_of(uri, next(row for row in ODD_ROWS if row.state == "failed"))
    page, troubles = open_page(browser, address + VIEW)
    for part in (f"/{study}", f"/{study}/artifacts/report.html", f"/{failed}", f"/{failed}/artifacts/failure.txt", ""):
        page.goto(f"{address}{part}{VIEW}")
        page.get_by_text("document.title").first.wait_for(state="attached")
        page.wait_for_timeout(1000)
        assert page.locator("img[src=x]").count() == 0
        assert "owned" not in page.title()
    assert troubles == []


def _run_of(uri: str, row: TrialRow) -> str:
    found = MlflowClient(uri).search_runs([experiment(uri, ODD_FACTS)], f"tags.trial_key = '{row.key}'")
    return str(found[0].info.run_id)
