"""The Pareto front in two quantities: what was found, the references, the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboards.figures.style import MOST_SVG_POINTS, axis, card, evenly, new_figure, note, numbers, small
from dashboards.front import Floats, Mask, column, found, front, objective, objective_values, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import GREY, ORANGE, VERMILLION, family_colours, family_symbols
from dashboards.words import amount, safe, shown_name
from search_spaces.pareto import non_dominated_ranks

MOST_LABELS = 14


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
    _add_dominated(figure, _thinned(_pick(rows, dominated), (y, x), most_dominated), (x, y))
    _add_line(figure, _pick(rows, members), (x, y))
    if set(facts.objectives) != {x, y}:
        _add_ringed(figure, _pick(rows, front(rows, facts.objectives) & known & ~members), (x, y))
    _add_members(figure, _pick(rows, members), (x, y), rows)
    x_range = _x_range(column(rows, x)[known], x, facts, is_log)
    _add_references(figure, _pick(rows, references(rows) & known), (x, y), is_log, x_range)
    _add_limit(figure, facts, x, is_log)
    return figure.update_xaxes(range=x_range)


def _x_range(values: Floats, x: str, facts: StudyFacts, is_log: bool) -> list[float]:
    """From the cheapest to the dearest network or the budget's limit, and a little air."""
    bounds = [
        float(values.min()),
        float(values.max()),
        *(limits[x] for limits in (facts.limits, facts.lower_limits) if x in limits),
    ]
    low, high = (np.log10(max(bound, 1e-9)) if is_log else bound for bound in (min(bounds), max(bounds)))
    air = 0.07 * (high - low) or 0.5
    return [float(low - air), float(high + air)]


def _pick(rows: Sequence[TrialRow], mask: Mask) -> list[TrialRow]:
    return [rows[index] for index in np.flatnonzero(mask).tolist()]


def _thinned(rows: list[TrialRow], objectives: tuple[str, str], most: int) -> list[TrialRow]:
    """Those nearest to the front, and an even sample of the others."""
    if len(rows) <= most:
        return rows
    order = np.argsort(non_dominated_ranks(objective_values(rows, objectives)), kind="stable")
    near, far = order[: most // 2], order[most // 2 :]
    return [rows[index] for index in (*near, *far[evenly(len(far), most - most // 2)])]


def _add_dominated(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str]) -> None:
    colours = family_colours(row.family for row in rows)
    symbols = family_symbols(row.family for row in rows)
    kind = go.Scattergl if len(rows) > MOST_SVG_POINTS else go.Scatter
    for family, colour in colours.items():
        of_family = [row for row in rows if row.family == family]
        figure.add_trace(
            kind(
                **_points(of_family, axes),
                mode="markers",
                name=f"{safe(family, 30)}, dominated",
                marker={"color": colour, "symbol": symbols[family], "size": 6, "opacity": 0.5},
                hovertext=[safe(row.name) for row in of_family],
                hovertemplate=f"%{{hovertext}} #%{{customdata}}<br>{_format(axes[1], 'y')}<br>{_format(axes[0], 'x')}"
                "<extra></extra>",
            )
        )


def _points(rows: list[TrialRow], axes: tuple[str, str]) -> dict[str, npt.NDArray[np.generic]]:
    return {"x": small(column(rows, axes[0])), "y": small(column(rows, axes[1])), "customdata": numbers(rows)}


def _format(name: str, letter: str) -> str:
    if name == "accuracy":
        return f"%{{{letter}:.2%}}"
    return f"%{{{letter}:.3s}} {objective(name).title}"


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


def _add_members(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], all_rows: Sequence[TrialRow]) -> None:
    colours = family_colours(row.family for row in all_rows if row.source == "search")
    symbols = family_symbols(colours)
    labelled = _labelled(column(rows, axes[0]), column(rows, axes[1]))
    for family, colour in colours.items():
        indices = [index for index, row in enumerate(rows) if row.family == family]
        of_family = [rows[index] for index in indices]
        if of_family:
            figure.add_trace(
                go.Scatter(
                    **_points(of_family, axes),
                    **_with_cards(of_family),
                    error_y=_spread(of_family, axes[1]),
                    mode="markers+text",
                    name=f"{safe(family, 30)}, on the front",
                    text=[f"#{rows[index].number}" if index in labelled else "" for index in indices],
                    textposition="top left",
                    cliponaxis=False,
                    marker={"color": colour, "symbol": symbols[family], "size": 11, "line": {"width": 1}},
                )
            )


def _with_cards(rows: list[TrialRow]) -> dict[str, object]:
    return {"hovertext": [card(row) for row in rows], "hovertemplate": "%{hovertext}<extra></extra>"}


def _spread(rows: list[TrialRow], name: str) -> dict[str, object] | None:
    """Error bars: one standard deviation over seeds, where there are several."""
    if name != "accuracy" or all(row.accuracy_std is None for row in rows):
        return None
    return {"array": [row.accuracy_std or 0.0 for row in rows], "thickness": 1.2, "width": 4}


def _labelled(x: Floats, y: Floats) -> set[int]:
    """The members that get a label: from both ends inwards, none too near to one that has it."""
    if not len(x):
        return set()
    places = np.stack([_unit(np.log10(np.maximum(x, 1e-12))), _unit(y)], axis=1)
    order = np.argsort(places[:, 0])
    chosen: list[int] = []
    for index in (order[0], order[-1], *order[1:-1]):
        distances = np.abs(places[chosen] - places[index]) / (0.075, 0.06)
        if len(chosen) < MOST_LABELS and (distances.max(axis=1, initial=0) >= 1).all():
            chosen.append(int(index))
    return set(chosen)


def _unit(values: Floats) -> Floats:
    low = float(values.min())
    return np.asarray((values - low) / (float(values.max()) - low or 1.0))


def _add_ringed(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str]) -> None:
    if rows:
        figure.add_trace(
            go.Scatter(
                **_points(rows, axes),
                **_with_cards(rows),
                mode="markers",
                name="on the front of all objectives",
                marker={"color": GREY, "symbol": "circle-open", "size": 12, "line": {"width": 2}},
            )
        )


def _add_references(
    figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], is_log: bool, x_range: list[float]
) -> None:
    """Stars with their names, which stand on the side where there is room."""
    if not rows:
        return
    costs = column(rows, axes[0])
    is_right = (np.log10(np.maximum(costs, 1e-9)) if is_log else costs) > sum(x_range) / 2
    figure.add_trace(
        go.Scatter(
            **_points(rows, axes),
            **_with_cards(rows),
            error_y=_spread(rows, axes[1]),
            mode="markers+text",
            name="reference, same recipe",
            text=[safe(shown_name(row), 28) for row in rows],
            textposition=["middle left" if right else "middle right" for right in is_right],
            cliponaxis=False,
            marker={"color": ORANGE, "symbol": "star", "size": 15, "line": {"width": 1, "color": "#7a5200"}},
        )
    )
    _add_published(figure, [row for row in rows if row.published_accuracy is not None], axes)


def _add_published(figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str]) -> None:
    """What the papers report, under their own recipe; only where accuracy is shown."""
    if not rows or axes[1] != "accuracy":
        return
    texts = [f"{safe(shown_name(row))}, as published: {amount('accuracy', row.published_accuracy)}" for row in rows]
    published = {"macs": "published_macs", "params": "published_params"}.get(axes[0], axes[0])
    costs = [getattr(row, published) or getattr(row, axes[0]) for row in rows]
    figure.add_trace(
        go.Scatter(
            x=costs,
            y=[row.published_accuracy for row in rows],
            customdata=numbers(rows),
            mode="markers",
            name="reference, as published",
            visible="legendonly",
            hovertext=texts,
            hovertemplate="%{hovertext}<extra></extra>",
            marker={"color": ORANGE, "symbol": "star-open", "size": 14},
        )
    )


def _add_limit(figure: go.Figure, facts: StudyFacts, x: str, is_log: bool) -> None:
    """The budget: a line, and what lies beyond it shaded."""
    for limits, side in ((facts.limits, "upper"), (facts.lower_limits, "lower")):
        if x not in limits:
            continue
        limit = limits[x]
        outside = (limit, limit * 1e3) if side == "upper" else (limit / 1e3, limit)
        figure.add_shape(
            type="rect", x0=outside[0], x1=outside[1], y0=0, y1=1, yref="paper", layer="below", line={"width": 0},
            fillcolor=VERMILLION, opacity=0.08,
        )  # fmt: skip
        figure.add_shape(
            type="line", x0=limit, x1=limit, y0=0, y1=1, yref="paper", line={"color": VERMILLION, "dash": "dash"}
        )
        figure.add_annotation(
            x=np.log10(limit) if is_log else limit, y=0, yref="paper", yanchor="bottom", showarrow=False,
            xanchor="right" if side == "upper" else "left", text=f"budget {amount(x, limit)}", textangle=-90,
        )  # fmt: skip
