"""How the search came along: dominated hypervolume against trainings and against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.style import new_figure, note, numbers, small
from dashboards.front import Floats, hypervolume_shares, objective_values, reference_point, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import BLUE, ORANGE
from dashboards.words import safe, shown_name
from search_spaces.pareto import hypervolume

MOST_STEPS = 4000
_UNITS = ((172_800, 86_400, "days"), (7200, 3600, "hours"), (300, 60, "minutes"), (0, 1, "seconds"))


def hypervolume_figure(
    rows: Sequence[TrialRow], facts: StudyFacts, against: Literal["trainings", "time"] = "trainings"
) -> go.Figure:
    """The share of the box between 0 and the reference point that the found networks dominate."""
    figure = new_figure(380).update_yaxes(title="dominated hypervolume (share)", tickformat="~%")
    ended, shares = hypervolume_shares(rows, facts)
    if not ended:
        return note(figure, "No training is complete yet.")
    x, title = _in_units(times(ended, rows, facts)) if against == "time" else (_places(ended), "trainings")
    kept = changes(shares)
    figure.add_trace(
        go.Scatter(
            x=small(x[kept]),
            y=shares[kept],
            customdata=numbers([ended[index] for index in kept]),
            hovertext=[safe(shown_name(ended[index])) for index in kept],
            hovertemplate="%{y:.2%} after %{x:.4~g} " + title + "<br>%{hovertext} #%{customdata}<extra></extra>",
            mode="lines+markers" if len(kept) < 200 else "lines",
            line={"shape": "hv", "color": BLUE, "width": 2},
            marker={"size": 5},
            name="found",
        )
    )
    _add_reference_line(figure, rows, facts)
    return figure.update_xaxes(title=title, rangemode="tozero").update_layout(showlegend=False)


def changes(shares: Floats) -> list[int]:
    """The first, the last, and each training that changed something; thinned where they are many."""
    steps = np.flatnonzero(np.diff(shares, prepend=-1.0) > 0)
    kept = np.unique(np.concatenate(([0], steps, [len(shares) - 1])))
    return [int(index) for index in kept[:: max(1, len(kept) // MOST_STEPS)]]


def times(ended: list[TrialRow], rows: Sequence[TrialRow], facts: StudyFacts) -> Floats:
    """Seconds from the study's start to each end, (n,)."""
    starts = [row.started_at for row in rows if row.started_at is not None]
    start = facts.created_at if facts.created_at is not None else min(starts, default=0.0)
    return np.array([(row.ended_at if row.ended_at is not None else start) - start for row in ended])


def _in_units(seconds: Floats) -> tuple[Floats, str]:
    size, unit = next((size, unit) for least, size, unit in _UNITS if seconds[-1] >= least or least == 0)
    return seconds / size, unit


def _places(ended: list[TrialRow]) -> Floats:
    return np.arange(1.0, len(ended) + 1)


def _add_reference_line(figure: go.Figure, rows: Sequence[TrialRow], facts: StudyFacts) -> None:
    """What the reference networks alone dominate."""
    known = [row for row, is_reference in zip(rows, references(rows), strict=True) if is_reference]
    values = objective_values(known, facts.objectives)
    values = values[np.isfinite(values).all(axis=1)]
    limit = reference_point(rows, facts)
    if len(values) and (limit > 0).all():
        figure.add_hline(
            y=hypervolume(values, limit) / float(limit.prod()),
            line={"color": ORANGE, "dash": "dash"},
            annotation={"text": "the references alone", "xanchor": "right", "yanchor": "bottom"},
            annotation_position="bottom right",
        )
