"""The report: one file, complete, self-contained, and deaf to what names tell it to do."""

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click import Context

from dashboards.front import front
from dashboards.members import member, run_url, stage_lines, study_commands, trial_commands, web_address
from dashboards.paper import front_image, write_front
from dashboards.report import report, script_json, trial_columns, write_report
from dashboards.table import StudyFacts
from orchestrator.cli.main import igcv
from search_spaces.plan import plan_from_json
from tests.dashboards.sample import sample_study

ROWS, FACTS = sample_study(60)


class Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.images = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.images += tag == "img"
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def text() -> str:
    return report(ROWS, FACTS)


def page_data(text: str) -> dict[str, dict[str, list[object]]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data: dict[str, dict[str, list[object]]] = json.loads(found[1])
    return data


def test_nothing_is_loaded_from_elsewhere(text: str) -> None:
    page = Page(text)
    assert page.scripts == 3
    assert all(address.startswith(("#", FACTS.mlflow_url or "")) for address in page.addresses)
    assert "default-src 'none'" in text


def test_all_trials_and_all_figures_are_inside(text: str) -> None:
    data = page_data(text)
    assert data["trials"]["number"] == [row.number for row in ROWS]
    assert set(data["figures"]) == {
        "front", "hypervolume", "curves", "importance", "parallel", "workers", "failures",
    }  # fmt: skip
    assert set(data["templates"]) == {"light", "dark"}
    assert text.count('aria-label="Block diagram"') == text.count('class="member"')


def test_hostile_text_neither_runs_nor_ends_a_script() -> None:
    rows, facts = sample_study(60, hostile=True)
    rows = [replace(row, mlflow_run_id='"><script>') for row in rows]
    page = Page(report(rows, replace(facts, mlflow_url="javascript:alert(1)")))
    assert (page.scripts, page.images, page.handlers) == (3, 0, [])
    assert not [address for address in page.addresses if not address.startswith("#")]


def test_script_json_reads_back() -> None:
    value = {"a": "</script><!--\u2028&"}
    assert "<" not in script_json(value)
    assert json.loads(script_json(value)) == value


def test_an_empty_study_has_a_report(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", [], StudyFacts(study="empty"))
    assert "No network is trained to the end yet." in (tmp_path / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_study_with_three_objectives_has_a_report() -> None:
    rows = [replace(row, latency_ms=row.macs / 1e6 if row.macs else None) for row in ROWS]
    text = report(rows, replace(FACTS, objectives=("accuracy", "macs", "params"), reference_point=None))
    assert "on the front of accuracy, MACs and parameters" in text
    assert len(page_data(text)["figures"]["front"]) == 5  # three costs, one of them as colour, all pairs


def test_twenty_thousand_trials_stay_below_15_megabytes() -> None:
    rows, facts = sample_study(20_000, distinct=60)
    assert len(report(rows, facts).encode()) < 15e6


def test_table_columns_mark_the_front_and_the_references() -> None:
    mask = front(ROWS, FACTS.objectives)
    marks = trial_columns(ROWS, mask)["mark"]
    assert marks[:2] == ["reference", "reference"]
    assert [mark == "front" for mark in marks] == mask.tolist()


def test_a_member_tells_its_costs_by_stage() -> None:
    row = next(row for row in ROWS if row.state == "complete" and row.source == "search")
    assert row.plan
    told = member(row, FACTS)
    assert told.stages[-1][:3] == ("whole", f"{row.params:,}", f"{row.macs:,}")
    assert stage_lines(plan_from_json(row.plan)) == told.stages
    assert member(replace(row, plan=None), FACTS).plan is None


def test_commands_quote_what_a_shell_would_read() -> None:
    (_, command), *_ = study_commands(replace(FACTS, study="a b; rm -rf x"))
    assert command == "igcv dashboard 'a b; rm -rf x'"


def test_every_command_that_a_page_names_exists() -> None:
    told = [
        command
        for _, command in (*study_commands(FACTS), *trial_commands(ROWS[0], FACTS), *trial_commands(ROWS[5], FACTS))
    ]
    assert len(told) > 4
    for command in told:
        program, name, *options = shlex.split(command)
        assert program == "igcv"
        known = igcv.get_command(Context(igcv), name)
        assert known is not None, command
        flags = {flag for option in known.params for flag in option.opts}
        assert {option for option in options if option.startswith("-")} <= flags


def test_only_web_addresses_become_links() -> None:
    assert web_address("javascript:alert(1)") is None
    assert web_address(None) is None
    assert web_address("http://127.0.0.1:5000/x") == "http://127.0.0.1:5000/x"
    assert run_url(replace(ROWS[5], mlflow_run_id="ab12"), FACTS) == f"{FACTS.mlflow_url}/runs/ab12"
    assert run_url(replace(ROWS[5], mlflow_run_id="../x"), FACTS) is None


def test_the_front_for_a_paper(tmp_path: Path) -> None:
    svg = front_image(ROWS, FACTS).decode()
    assert "igcv2-c64-d8" in svg
    assert front_image(ROWS, FACTS).decode() == svg
    write_front(tmp_path / "front.pdf", ROWS, FACTS, x="params")
    assert (tmp_path / "front.pdf").read_bytes().startswith(b"%PDF")
    assert b"<script>" not in front_image(*sample_study(40, hostile=True))
    with pytest.raises(ValueError, match=r"ends in \.svg or \.pdf"):
        write_front(tmp_path / "front.png", ROWS, FACTS)
