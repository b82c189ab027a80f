"""Three quantities at once: the third as colour, or all three pairs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

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
from dashboards.figures.style import SCALE, axis, new_figure, note, small, template
from dashboards.front import Floats, column, found, front, objective, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import GREY, family_colours, family_symbols
from dashboards.words import compact, percent, safe

MOST_DOMINATED = 1000
Plane = tuple[str, str]


def coloured_figure(
    rows: Sequence[TrialRow],
    facts: StudyFacts,
    x: str,
    y: str,
    colour: str,
    most_dominated: int = MOST_DOMINATED,
    log_x: bool | None = None,
    log_y: bool | None = None,
) -> go.Figure:
    """Accuracy, say, against one cost, with another one as colour; members are of the front of all three."""
    is_log = objective(x).log if log_x is None else log_x
    figure = new_figure(520).update_xaxes(**axis(x, is_log)).update_yaxes(**axis(y, log_y))
    three = (y, x, colour)
    counted = found(rows, three)
    if not counted.any():
        titles = ", ".join(objective(name).title for name in three)
        return note(figure, f"No trial has {titles} yet.")
    members = front(rows, three)
    faint = thinned(pick(rows, counted & ~members), three, most_dominated)
    if faint:
        _add_coloured(figure, faint, (x, y), colour, name="dominated", size=6, opacity=0.45)
    shown = pick(rows, members)
    symbols = family_symbols(row.family for row in rows if row.source == "search")
    named = labelled(column(shown, x), column(shown, y))
    for family, symbol in symbols.items():
        places = [index for index, row in enumerate(shown) if row.family == family]
        if places:
            of_family = [shown[index] for index in places]
            name = f"{safe(family, 30)}, on the front of the three"
            texts = [f"#{shown[index].number}" if index in named else "" for index in places]
            _add_coloured(figure, of_family, (x, y), colour, name=name, size=11, symbol=symbol, texts=texts)
    _add_legend(figure, shown, symbols)
    known = np.isfinite(column(rows, x)) & np.isfinite(column(rows, y))
    ends = x_range(column(rows, x)[known], x, facts, is_log)
    beside = pick(rows, references(rows) & known)
    add_references(figure, beside, (x, y), is_log, ends)
    add_published(figure, beside, facts, (x, y))
    add_limit(figure, facts, x, is_log)
    return figure.update_xaxes(range=ends).update_layout(coloraxis=_colour_axis(column(rows, colour)[counted], colour))


def projections_figure(rows: Sequence[TrialRow], facts: StudyFacts) -> go.Figure:
    """The three pairs of three objectives; in each, the members of the study's own front stand out."""
    first, second, third = three_of(rows, facts)
    planes: tuple[tuple[Plane, int, int], ...] = (
        ((second, first), 1, 1),
        ((third, first), 1, 2),
        ((second, third), 2, 1),
    )
    figure = make_subplots(rows=2, cols=2, horizontal_spacing=0.12, vertical_spacing=0.22)
    figure.update_layout(template=template("light"), height=680)
    if not found(rows, facts.objectives).any():
        return note(figure, "No training is complete yet.")
    for plane, line, place in planes:
        _add_plane(figure, rows, facts, plane, line, place)
        figure.update_xaxes(**axis(plane[0]), row=line, col=place)
        figure.update_yaxes(**axis(plane[1]), row=line, col=place)
    figure.update_xaxes(visible=False, row=2, col=2).update_yaxes(visible=False, row=2, col=2)
    return figure.update_layout(showlegend=True)


def three_of(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[str, str, str]:
    """The study's first three objectives, filled up with the costs that its rows know."""
    names = dict.fromkeys((*facts.objectives, "accuracy", "macs", "params"))
    known = [name for name in names if any(getattr(row, name) is not None for row in rows)]
    first, second, third = (*known, *(name for name in names if name not in known))[:3]
    return first, second, third


def _add_plane(
    figure: go.Figure, rows: Sequence[TrialRow], facts: StudyFacts, plane: Plane, line: int, place: int
) -> None:
    members = front(rows, facts.objectives)
    faint = thinned(pick(rows, found(rows, (plane[1], plane[0])) & ~members), (plane[1], plane[0]), MOST_DOMINATED)
    is_first = (line, place) == (1, 1)
    figure.add_trace(
        go.Scatter(
            **points(faint, plane),
            mode="markers",
            name="not on the front",
            legendgroup="faint",
            showlegend=is_first,
            marker={"color": GREY, "size": 4, "opacity": 0.4},
            hovertemplate=f"#%{{customdata}}<br>{place_format(plane)}<extra></extra>",
        ),
        row=line,
        col=place,
    )
    colours = family_colours(row.family for row in rows if row.source == "search")
    symbols = family_symbols(colours)
    for family, colour in colours.items():
        of_family = [row for row in pick(rows, members) if row.family == family]
        figure.add_trace(
            go.Scatter(
                **points(of_family, plane),
                **with_cards(of_family),
                error_y=spread(of_family, plane[1]),
                mode="markers",
                name=f"{safe(family, 30)}, on the study's front",
                legendgroup=f"family {safe(family, 30)}",
                showlegend=is_first and bool(of_family),
                marker={"color": colour, "symbol": symbols[family], "size": 9, "line": {"width": 1}},
            ),
            row=line,
            col=place,
        )


def _add_coloured(
    figure: go.Figure,
    rows: list[TrialRow],
    axes: Plane,
    colour: str,
    *,
    name: str,
    size: int,
    opacity: float = 1.0,
    symbol: str = "circle",
    texts: list[str] | None = None,
) -> None:
    figure.add_trace(
        go.Scatter(
            **points(rows, axes),
            **(with_cards(rows) if texts else {"hovertemplate": _three_format(axes, colour)}),
            error_y=spread(rows, axes[1]) if texts else None,
            text=texts if texts else _written(column(rows, colour), colour),
            mode="markers+text" if texts else "markers",
            textposition="top left",
            cliponaxis=False,
            name=name,
            showlegend=False,  # its mark would have no colour
            marker={
                "color": small(_drawn(column(rows, colour), colour)),
                "coloraxis": "coloraxis",
                "symbol": symbol,
                "size": size,
                "opacity": opacity,
                "line": {"width": 1 if texts else 0},
            },
        )
    )


def _add_legend(figure: go.Figure, shown: list[TrialRow], symbols: Mapping[str, str]) -> None:
    """What the marks mean; their colours stand in the scale beside the figure."""
    families = {row.family for row in shown}
    marks = [("dominated", "circle", 6)]
    marks += [(f"{safe(name, 30)}, on this front", mark, 11) for name, mark in symbols.items() if name in families]
    for name, mark, size in marks:
        marker = {"color": GREY, "symbol": mark, "size": size}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker=marker, hoverinfo="skip"))


def _three_format(axes: Plane, colour: str) -> str:
    return f"#%{{customdata}}<br>{place_format(axes)}<br>%{{text}} {objective(colour).title}<extra></extra>"


def _written(values: Floats, name: str) -> list[str]:
    return [percent(value) if name == "accuracy" else compact(value) for value in values.tolist()]


def _drawn(values: Floats, name: str) -> Floats:
    return np.log10(np.maximum(values, 1e-12)) if objective(name).log else values


def _colour_axis(values: Floats, name: str) -> dict[str, object]:
    """The scale beside the figure, with the values written and not their logarithms."""
    drawn = _drawn(values, name)
    ticks = np.linspace(float(drawn.min()), float(drawn.max()), 5)
    return {
        "colorscale": SCALE,
        "colorbar": {
            "title": {"text": objective(name).title, "side": "right"},
            "tickvals": ticks.tolist(),
            "ticktext": _written(10**ticks if objective(name).log else ticks, name),
            "thickness": 12,
            "len": 0.8,
        },
    }
