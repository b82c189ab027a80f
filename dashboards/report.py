"""The report of a study: one HTML file that opens without a network, with everything it shows inside."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboards.diagram import draw_plan
from dashboards.figures.style import template
from dashboards.front import Mask, front
from dashboards.members import members, study_commands, web_address
from dashboards.publish import front_latex, front_markdown, front_table
from dashboards.summary import summary
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import THEMES
from dashboards.views import View, views
from dashboards.words import MISSING, plain, shown_name

MOST_MEMBERS = 16  # told in detail
MOST_FAILURES = 40  # told with their text
_UNSAFE = ("<", ">", "&", "\u2028", "\u2029")


def write_report(path: str | Path, rows: Sequence[TrialRow], facts: StudyFacts) -> None:
    """Writes the report whole or not at all."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_text(report(rows, facts), encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def report(rows: Sequence[TrialRow], facts: StudyFacts) -> str:
    """The report as text. Jinja escapes everything but what is marked as harmless here."""
    shown = views(rows, facts)
    heading, lines = front_table(rows, facts)
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=plain(facts.study, 80),
            updated=_moment(facts.updated_at),
            sections=summary(rows, facts),
            heading=heading,
            lines=lines,
            markdown=front_markdown(rows, facts),
            latex=front_latex(rows, facts),
            views=shown,
            members=members(rows, facts, MOST_MEMBERS),
            failures=[row for row in rows if row.state == "failed"][-MOST_FAILURES:],
            commands=study_commands(facts),
            mlflow_url=web_address(facts.mlflow_url),
            data=script_json(_page_data(rows, facts, shown)),
            style=_asset("report.css"),
            program=_asset("report.js"),
            plotly=Markup(get_plotlyjs()),
        )
    )


def script_json(value: object) -> Markup:
    """JSON that stands harmlessly inside a script element: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"))
    for letter in _UNSAFE:
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def trial_columns(rows: Sequence[TrialRow], on_front: Mask) -> dict[str, list[Any]]:
    """What the table of all trials shows, column by column."""
    return {
        "number": [row.number for row in rows],
        "accuracy": [None if row.accuracy is None else round(row.accuracy, 6) for row in rows],
        "macs": [row.macs for row in rows],
        "params": [row.params for row in rows],
        "seconds": [None if row.seconds is None else round(row.seconds, 1) for row in rows],
        "state": [row.state for row in rows],
        "mark": [_mark(row, bool(member)) for row, member in zip(rows, on_front, strict=True)],
        "family": [plain(row.family, 40) for row in rows],
        "name": [plain(shown_name(row), 120) for row in rows],
    }


def _mark(row: TrialRow, on_front: bool) -> str:
    return "front" if on_front else "reference" if row.source == "reference" else plain(row.failure_kind or "", 30)


def _page_data(rows: Sequence[TrialRow], facts: StudyFacts, shown: tuple[View, ...]) -> dict[str, object]:
    return {
        "figures": {view.key: [_bare(draw()) for _, draw in view.choices] for view in shown},
        "templates": {theme: template(theme).to_plotly_json() for theme in THEMES},
        "trials": trial_columns(rows, front(rows, facts.objectives)),
    }


def _bare(figure: go.Figure) -> object:
    """The figure without its template, which the page has once for all."""
    return json.loads(figure.update_layout(template=None).to_json())


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboards", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.filters["diagram"] = lambda plan: Markup(draw_plan(plan))
    return environment


def _asset(name: str) -> Markup:
    """A file of ours, put into the page as it is."""
    return Markup((files("dashboards") / "assets" / name).read_text(encoding="utf-8"))


def _moment(seconds: float | None) -> str:
    return MISSING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
