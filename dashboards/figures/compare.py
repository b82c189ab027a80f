"""Several studies in one figure: their fronts, and how their searches came along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboards.figures.history import changes, times
from dashboards.figures.points import spread
from dashboards.figures.style import axis, card, evenly, new_figure, note, numbers, small
from dashboards.front import column, found, front, hypervolume_shares, objective, reference_point
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import FAMILY_COLOURS, FAMILY_SYMBOLS
from dashboards.words import safe

MOST_DOMINATED = 800  # of each study
DASHES = ("solid", "dash", "dot", "dashdot")
Study = tuple[Sequence[TrialRow], StudyFacts]


def compared_fronts(
    studies: Sequence[Study], x: str = "macs", y: str = "accuracy", log_x: bool | None = None, log_y: bool | None = None
) -> go.Figure:
    """The fronts in two quantities, a colour and a mark for each study; `customdata` is (study's place, trial)."""
    figure = new_figure(520).update_xaxes(**axis(x, log_x)).update_yaxes(**axis(y, log_y))
    for place, (rows, facts) in enumerate(studies):
        members = front(rows, (y, x))
        dominated = np.flatnonzero(found(rows, (y, x)) & ~members)
        faint = [rows[index] for index in dominated[evenly(len(dominated), MOST_DOMINATED)].tolist()]
        costs = column(rows, x)
        shown = [rows[index] for index in np.flatnonzero(members)[np.argsort(costs[members], kind="stable")].tolist()]
        if faint:
            _add(figure, faint, (x, y), place, facts, is_front=False)
        if shown:
            _add(figure, shown, (x, y), place, facts, is_front=True)
    if not figure.data:
        return note(figure, f"No trial has both {objective(x).title} and {objective(y).title} yet.")
    return figure


def compared_histories(studies: Sequence[Study], against: Literal["trainings", "time"] = "trainings") -> go.Figure:
    """The dominated shares, all below the reference point of the first study."""
    figure = new_figure(420).update_yaxes(title="dominated hypervolume (share)", tickformat="~%")
    rows, facts = studies[0]
    point = tuple(float(value) for value in reference_point(rows, facts))
    for place, (rows, own) in enumerate(studies):
        same = replace(own, objectives=facts.objectives, reference_point=point)
        ended, shares = hypervolume_shares(rows, same)
        if not ended:
            continue
        x = times(ended, rows, own) / 60 if against == "time" else np.arange(1.0, len(ended) + 1)
        kept = changes(shares)
        figure.add_trace(
            go.Scatter(
                x=small(x[kept]),
                y=shares[kept],
                mode="lines",
                name=safe(own.study, 40),
                line={"shape": "hv", "width": 2, "color": study_colour(place), "dash": DASHES[place % len(DASHES)]},
                hovertemplate="%{y:.2%} after %{x:.4~g}<extra>" + no_template(own.study) + "</extra>",
            )
        )
    if not figure.data:
        return note(figure, "No training is complete yet.")
    title = "minutes" if against == "time" else "trainings"
    return figure.update_xaxes(title=title, rangemode="tozero").update_layout(showlegend=True)


def _add(
    figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], place: int, facts: StudyFacts, is_front: bool
) -> None:
    name = safe(facts.study, 40)
    figure.add_trace(
        go.Scatter(
            x=small(column(rows, axes[0])),
            y=small(column(rows, axes[1])),
            customdata=placed(place, numbers(rows)),
            mode="lines+markers" if is_front else "markers",
            name=name if is_front else f"{name}, dominated",
            hovertext=[f"{name}<br>{card(row)}" for row in rows] if is_front else [f"{name} #{r.number}" for r in rows],
            hovertemplate="%{hovertext}<extra></extra>",
            error_y=spread(rows, axes[1]) if is_front else None,
            line={"shape": "hv", "width": 1.5, "color": study_colour(place)},
            marker={
                "color": study_colour(place),
                "symbol": FAMILY_SYMBOLS[place % len(FAMILY_SYMBOLS)],
                "size": 10 if is_front else 5,
                "opacity": 1.0 if is_front else 0.4,
            },
        )
    )


def placed(place: int, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """What a click gives back where several studies are shown: (study's place, trial), (n, 2)."""
    return np.stack([np.full(len(numbers), place, dtype=np.int32), numbers], axis=1)


def study_colour(place: int) -> str:
    """The colour of the study at this place of a comparison."""
    return FAMILY_COLOURS[place % len(FAMILY_COLOURS)]


def no_template(text: str) -> str:
    """A name as it may stand in a hover template."""
    return safe(text, 40).replace("%{", "% {")
