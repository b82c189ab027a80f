"""The figure that a state of the page asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.compare import Study, compared_fronts, compared_histories
from dashboards.figures.compare_trials import (
    compared_curves,
    compared_failures,
    compared_importances,
    compared_parameters,
    compared_timelines,
)
from dashboards.figures.curves import curves_figure
from dashboards.figures.front import front_figure
from dashboards.figures.style import evenly, template
from dashboards.figures.third import coloured_figure, projections_figure
from dashboards.figures.timeline import timeline_figure
from dashboards.front import OBJECTIVES, front_rows
from dashboards.live.address import Shown, trial_of
from dashboards.live.reader import Rows, StudyReader
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import Theme
from dashboards.views import View, views

MOST_CURVES, MOST_STAYS = 400, 1500  # trials whose curves and stays are read
MOST_DOMINATED = 1000  # drawn without WebGL, which takes longer to start than they take to be drawn
PLANE, PROJECTIONS = "two quantities", "all pairs"  # the choices of the front
TOLD_TOGETHER: Mapping[str, str] = {
    "front": "The fronts of all chosen studies, a colour and a mark for each. A click shows the network.",
    "hypervolume": "The share of the box below the first study's reference point that each study dominates.",
    "curves": "Validation accuracy by epoch of each study's front, a colour for each study; references are faint.",
    "importance": "How differently each study's best networks choose a parameter from all that it tried.",
    "parallel": "Parallel coordinates of all chosen studies' networks. Drag along the first axis to select a study.",
    "workers": "What each worker trained, from the start of its own study, and how it ended.",
    "failures": "Failed trials by kind, a bar for each study. The list below has their text.",
}
Readers = Mapping[str, StudyReader]


def known_axes(rows: Rows) -> list[str]:
    """The quantities that any row knows, accuracy and MACs always among them."""
    known = [name for name in OBJECTIVES if any(getattr(row, name) is not None for row in rows)]
    return list(dict.fromkeys(("accuracy", "macs", "params", *known)))


def choices(rows: Rows, facts: StudyFacts, shown: Shown) -> list[str]:
    """The names of a view's figures; none where there is nothing to choose."""
    if shown.view == "trials" or (shown.view == "front" and len(shown.studies) > 1):
        return []
    names = [PLANE, PROJECTIONS] if shown.view == "front" else [name for name, _ in _view(rows, facts, shown).choices]
    return names if len(names) > 1 else []


def told(rows: Rows, facts: StudyFacts, shown: Shown) -> str:
    """One line on what is seen."""
    if shown.view == "trials":
        return "Every trial. A click on a number shows the network."
    if len(shown.studies) > 1:
        return TOLD_TOGETHER[shown.view]
    if shown.view == "front":
        return "Networks trained to the end, their Pareto front, references and budget. A click shows the network."
    return _view(rows, facts, shown).told


def draw(shown: Shown, readers: Readers, theme: Theme) -> go.Figure:
    """The figure in the given look; zoom and legend stay as they are while the same is shown."""
    figure = _figure(shown, readers)
    for trace in figure.data:
        if getattr(trace, "customdata", None) is not None:  # Dash reads a click's number from plain lists alone
            given = np.asarray(trace.customdata).tolist()
            trace.customdata = None  # what is equal would not be replaced
            trace.customdata = given
    same = replace(shown, trial="")
    return figure.update_layout(template=template(theme), uirevision=repr(same), height=None, autosize=True)


def warm(readers: Readers) -> None:
    """Reads each study and draws it once, so that the first visit does not wait for what is read once."""
    for name in readers:
        with suppress(ValueError, OSError):  # said to whoever looks at it
            draw(Shown(study=name), readers, "light")


def _figure(shown: Shown, readers: Readers) -> go.Figure:
    if len(shown.studies) > 1:
        return _together(shown, readers)
    rows, facts = readers[shown.study].read()
    match shown.view:
        case "front" if shown.choice == PROJECTIONS:
            return projections_figure(rows, facts)
        case "front" if shown.z in OBJECTIVES:
            figure = coloured_figure(rows, facts, shown.x, shown.y, shown.z, log_x=_log(shown))
            return _ring(figure, rows, shown)
        case "front":
            figure = front_figure(rows, facts, shown.x, shown.y, MOST_DOMINATED, log_x=_log(shown))
            return _ring(figure, rows, shown)
        case "curves":
            return curves_figure(readers[shown.study].whole(_with_curves(rows, facts)), facts)
        case "workers":
            return timeline_figure(readers[shown.study].whole(_latest(rows)), facts)
        case _:
            figures = dict(_view(rows, facts, shown).choices)
            return figures.get(shown.choice, next(iter(figures.values())))()


def _together(shown: Shown, readers: Readers) -> go.Figure:
    """The same view of several studies."""
    studies = [_named(name, readers) for name in shown.studies]
    family = shown.choice if shown.choice in {row.family for rows, _ in studies for row in rows} else None
    match shown.view:
        case "hypervolume":
            return compared_histories(studies, "time" if shown.choice == "time" else "trainings")
        case "curves":
            return compared_curves(_whole(studies, readers, _front_and_references))
        case "workers":
            return compared_timelines(_whole(studies, readers, lambda rows, _: set(_latest(rows))))
        case "importance":
            return compared_importances(studies, family)
        case "parallel":
            return compared_parameters(studies, family)
        case "failures":
            return compared_failures(studies)
        case _:
            return compared_fronts(studies, shown.x, shown.y, log_x=_log(shown))


def _log(shown: Shown) -> bool | None:
    return {"log": True, "linear": False}.get(shown.scale)


def _whole(
    studies: Sequence[Study], readers: Readers, wanted: Callable[[Sequence[TrialRow], StudyFacts], set[int]]
) -> list[Study]:
    """With curves and stays, of the wanted trials alone."""
    return [(readers[facts.study].whole(wanted(rows, facts)), facts) for rows, facts in studies]


def _named(name: str, readers: Readers) -> Study:
    """Under the name that the page has for it, which is unique."""
    rows, facts = readers[name].read()
    return rows, replace(facts, study=name)


def _view(rows: Rows, facts: StudyFacts, shown: Shown) -> View:
    return next(view for view in views(rows, facts) if view.key == shown.view)


def _latest(rows: Sequence[TrialRow]) -> list[int]:
    return [row.number for row in rows[-MOST_STAYS:]]


def _front_and_references(rows: Sequence[TrialRow], facts: StudyFacts) -> set[int]:
    on_front = {row.number for row in front_rows(rows, facts.objectives)}
    return on_front | {row.number for row in rows if row.source == "reference"}


def _with_curves(rows: Rows, facts: StudyFacts) -> set[int]:
    """The front, the references, what trains now, and an even sample of the others."""
    always = _front_and_references(rows, facts) | {row.number for row in rows if row.state in ("training", "paused")}
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
