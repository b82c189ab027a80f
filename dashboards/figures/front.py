"""The Pareto front in two quantities: what was found, the references, the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.literature import add_published
from dashboards.figures.points import (
    add_limit,
    add_references,
    labelled,
    pick,
    place_format,
    points,
    spread,
    thinned,
    with_cards,
    x_range,
)
from dashboards.figures.style import MOST_SVG_POINTS, axis, new_figure, note
from dashboards.front import column, found, front, objective, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import GREY, family_colours, family_symbols
from dashboards.words import safe


def front_figure(
    rows: Sequence[TrialRow],
    facts: StudyFacts,
    x: str = "macs",
    y: str = "accuracy",
    most_dominated: int = 4000,
    log_x: bool | None = None,
    log_y: bool | None = None,
) -> go.Figure:
    """One cost against another quantity; `customdata` of each point is its trial's number.

    The line joins the front in the two quantities shown. Members of the study's own front that do not lie on it, where
    the study has other objectives, are ringed. Of the dominated, at most `most_dominated` are drawn. Axes are logarithmic
    as is usual for their quantities, or as `log_x` and `log_y` say.
    """
    is_log = objective(x).log if log_x is None else log_x
    figure = new_figure(520).update_xaxes(**axis(x, is_log)).update_yaxes(**axis(y, log_y))
    members = front(rows, (y, x))
    dominated = found(rows, (y, x)) & ~members
    known = np.isfinite(column(rows, x)) & np.isfinite(column(rows, y))
    if not known.any():
        return note(figure, f"No trial has both {objective(x).title} and {objective(y).title} yet.")
    colours = family_colours(row.family for row in rows if row.source == "search")
    _add_dominated(figure, pick(rows, dominated), (x, y), most_dominated, colours)
    _add_line(figure, pick(rows, members), (x, y))
    if set(facts.objectives) != {x, y}:
        _add_ringed(figure, pick(rows, front(rows, facts.objectives) & known & ~members), (x, y))
    _add_members(figure, pick(rows, members), (x, y), colours)
    ends = x_range(column(rows, x)[known], x, facts, is_log)
    beside = pick(rows, references(rows) & known)
    add_references(figure, beside, (x, y), is_log, ends)
    add_published(figure, beside, facts, (x, y))
    add_limit(figure, facts, x, is_log)
    return figure.update_xaxes(range=ends)


def _add_dominated(
    figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], most: int, colours: Mapping[str, str]
) -> None:
    shown = thinned(rows, (axes[1], axes[0]), most)
    symbols = family_symbols(colours)
    sizes = Counter(row.family for row in rows)
    kind = go.Scattergl if len(shown) > MOST_SVG_POINTS else go.Scatter
    for family, colour in colours.items():
        of_family = [row for row in shown if row.family == family]
        if not of_family:
            continue
        part = f", {len(of_family):,} of {sizes[family]:,}" if len(of_family) < sizes[family] else ""
        figure.add_trace(
            kind(
                **points(of_family, axes),
                mode="markers",
                name=f"{safe(family, 30)}, dominated{part}",
                marker={"color": colour, "symbol": symbols[family], "size": 6, "opacity": 0.5},
                hovertext=[safe(row.name) for row in of_family],
                hovertemplate=f"%{{hovertext}} #%{{customdata}}<br>{place_format(axes)}<extra></extra>",
            )
        )


def _add_line(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str]) -> None:
    """The staircase: what is reached at each cost."""
    x, y = column(rows, axes[0]), column(rows, axes[1])
    order = np.argsort(x, kind="stable")
    figure.add_trace(
        go.Scatter(
            x=x[order],
            y=y[order],
            mode="lines",
            line={"shape": "hv", "color": GREY, "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _add_members(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], colours: Mapping[str, str]) -> None:
    symbols = family_symbols(colours)
    named = labelled(column(rows, axes[0]), column(rows, axes[1]))
    for family, colour in colours.items():
        indices = [index for index, row in enumerate(rows) if row.family == family]
        of_family = [rows[index] for index in indices]
        if of_family:
            figure.add_trace(
                go.Scatter(
                    **points(of_family, axes),
                    **with_cards(of_family),
                    error_y=spread(of_family, axes[1]),
                    mode="markers+text",
                    name=f"{safe(family, 30)}, on the front",
                    text=[f"#{rows[index].number}" if index in named else "" for index in indices],
                    textposition="top left",
                    cliponaxis=False,
                    marker={"color": colour, "symbol": symbols[family], "size": 11, "line": {"width": 1}},
                )
            )


def _add_ringed(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str]) -> None:
    if rows:
        figure.add_trace(
            go.Scatter(
                **points(rows, axes),
                **with_cards(rows),
                mode="markers",
                name="on the front of all objectives",
                marker={"color": GREY, "symbol": "circle-open", "size": 12, "line": {"width": 2}},
            )
        )
