"""The figure that a state of the page asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.compare import Study, compared_fronts, compared_histories
from dashboards.figures.curves import curves_figure
from dashboards.figures.front import front_figure
from dashboards.figures.style import evenly, template
from dashboards.figures.timeline import timeline_figure
from dashboards.front import OBJECTIVES, front_rows
from dashboards.live.address import Shown, trial_of
from dashboards.live.reader import Rows, StudyReader
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import Theme
from dashboards.views import View, views

MOST_CURVES, MOST_STAYS = 400, 1500  # trials whose curves and stays are read
Readers = Mapping[str, StudyReader]


def known_axes(rows: Rows) -> list[str]:
    """The quantities that any row knows, accuracy and MACs always among them."""
    known = [name for name in OBJECTIVES if any(getattr(row, name) is not None for row in rows)]
    return list(dict.fromkeys(("accuracy", "macs", "params", *known)))


def choices(rows: Rows, facts: StudyFacts, view: str) -> list[str]:
    """The names of a view's figures; none where there is nothing to choose."""
    if view in ("front", "trials"):
        return []
    names = [name for name, _ in _view(rows, facts, view).choices]
    return names if len(names) > 1 else []


def told(rows: Rows, facts: StudyFacts, view: str) -> str:
    """One line on what is seen."""
    if view == "trials":
        return "Every trial. A click on a number shows the network."
    if view == "front":
        return "Networks trained to the end, their Pareto front, references and budget. A click shows the network."
    return _view(rows, facts, view).told


def draw(shown: Shown, readers: Readers, theme: Theme) -> go.Figure:
    """The figure in the given look; zoom and legend stay as they are while the same is shown."""
    figure = _figure(shown, readers)
    for trace in figure.data:
        if getattr(trace, "customdata", None) is not None:  # Dash reads a click's number from plain lists alone
            given = np.asarray(trace.customdata).tolist()
            trace.customdata = None  # what is equal would not be replaced
            trace.customdata = given
    same = (shown.studies, shown.view, shown.choice, shown.x, shown.y, shown.scale)
    return figure.update_layout(template=template(theme), uirevision=repr(same), height=None, autosize=True)


def _figure(shown: Shown, readers: Readers) -> go.Figure:
    rows, facts = readers[shown.study].read()
    several = [_named(name, readers) for name in shown.studies]
    log = {"log": True, "linear": False}.get(shown.scale)
    match shown.view:
        case "front" if len(several) > 1:
            return compared_fronts(several, shown.x, shown.y, log_x=log)
        case "front":
            figure = front_figure(rows, facts, shown.x, shown.y, log_x=log)
            return _ring(figure, rows, shown)
        case "hypervolume" if len(several) > 1:
            return compared_histories(several, "time" if shown.choice == "time" else "trainings")
        case "curves":
            return curves_figure(readers[shown.study].whole(_with_curves(rows, facts)), facts)
        case "workers":
            return timeline_figure(readers[shown.study].whole([row.number for row in rows[-MOST_STAYS:]]), facts)
        case _:
            figures = dict(_view(rows, facts, shown.view).choices)
            return figures.get(shown.choice, next(iter(figures.values())))()


def _named(name: str, readers: Readers) -> Study:
    """Under the name that the page has for it, which is unique."""
    rows, facts = readers[name].read()
    return rows, replace(facts, study=name)


def _view(rows: Rows, facts: StudyFacts, key: str) -> View:
    return next(view for view in views(rows, facts) if view.key == key)


def _with_curves(rows: Rows, facts: StudyFacts) -> set[int]:
    """The front, the references, what trains now, and an even sample of the others."""
    always = {row.number for row in front_rows(rows, facts.objectives)}
    always |= {row.number for row in rows if row.source == "reference" or row.state in ("training", "paused")}
    return always | {rows[index].number for index in evenly(len(rows), MOST_CURVES).tolist()}


def _ring(figure: go.Figure, rows: Rows, shown: Shown) -> go.Figure:
    """Marks the network that the panel tells of."""
    chosen = trial_of(shown.trial, (shown.study,))
    row = next((row for row in rows if chosen and row.number == chosen[1]), None)
    place = _place(row, shown) if row else None
    if row is not None and place is not None:
        figure.add_trace(
            go.Scatter(
                x=[place[0]],
                y=[place[1]],
                customdata=[row.number],
                mode="markers",
                marker={"symbol": "circle-open", "size": 22, "color": "#D55E00", "line": {"width": 2.5}},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    return figure


def _place(row: TrialRow, shown: Shown) -> tuple[float, float] | None:
    x, y = getattr(row, shown.x), getattr(row, shown.y)
    return None if x is None or y is None else (x, y)
