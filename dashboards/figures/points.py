"""What figures of a front are made of: points, labels, error bars, references, the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboards.figures.style import card, evenly, numbers, small
from dashboards.front import Floats, Mask, column, objective, objective_values
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import GREY, ORANGE, VERMILLION
from dashboards.words import amount, safe, shown_name
from search_spaces.pareto import non_dominated_ranks

MOST_LABELS = 14


def x_range(values: Floats, x: str, facts: StudyFacts, is_log: bool) -> list[float]:
    """From the cheapest to the dearest network or the budget's limit, and a little air."""
    bounds = [
        float(values.min()),
        float(values.max()),
        *(limits[x] for limits in (facts.limits, facts.lower_limits) if x in limits),
    ]
    low, high = (np.log10(max(bound, 1e-9)) if is_log else bound for bound in (min(bounds), max(bounds)))
    air = 0.07 * (high - low) or 0.5
    return [float(low - air), float(high + air)]


def pick(rows: Sequence[TrialRow], mask: Mask) -> list[TrialRow]:
    return [rows[index] for index in np.flatnonzero(mask).tolist()]


def thinned(rows: list[TrialRow], objectives: Sequence[str], most: int) -> list[TrialRow]:
    """Those nearest to the front, and an even sample of the others."""
    if len(rows) <= most:
        return rows
    order = np.argsort(non_dominated_ranks(objective_values(rows, objectives)), kind="stable")
    near, far = order[: most // 2], order[most // 2 :]
    return [rows[index] for index in (*near, *far[evenly(len(far), most - most // 2)])]


def points(rows: list[TrialRow], axes: tuple[str, str]) -> dict[str, npt.NDArray[np.generic]]:
    return {"x": small(column(rows, axes[0])), "y": small(column(rows, axes[1])), "customdata": numbers(rows)}


def place_format(axes: tuple[str, str]) -> str:
    """Both values in a hover text, the upper one first."""
    return f"{_format(axes[1], 'y')}<br>{_format(axes[0], 'x')}"


def _format(name: str, letter: str) -> str:
    if name == "accuracy":
        return f"%{{{letter}:.2%}}"
    return f"%{{{letter}:.3s}} {objective(name).title}"


def with_cards(rows: list[TrialRow]) -> dict[str, object]:
    return {"hovertext": [card(row) for row in rows], "hovertemplate": "%{hovertext}<extra></extra>"}


def spread(rows: list[TrialRow], name: str) -> dict[str, object] | None:
    """Error bars: one standard deviation over seeds, where there are several."""
    if name != "accuracy" or all(row.accuracy_std is None for row in rows):
        return None
    return {"array": [row.accuracy_std or 0.0 for row in rows], "thickness": 1.2, "width": 4, "color": GREY}


def labelled(x: Floats, y: Floats) -> set[int]:
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


def add_references(
    figure: go.Figure, rows: list[TrialRow], axes: tuple[str, str], is_log: bool, x_range: list[float]
) -> None:
    """Stars with their names, which stand on the side where there is room."""
    if not rows:
        return
    costs = column(rows, axes[0])
    is_right = (np.log10(np.maximum(costs, 1e-9)) if is_log else costs) > sum(x_range) / 2
    figure.add_trace(
        go.Scatter(
            **points(rows, axes),
            **with_cards(rows),
            error_y=spread(rows, axes[1]),
            mode="markers+text",
            name="reference, same recipe",
            text=[safe(shown_name(row), 28) for row in rows],
            textposition=["middle left" if right else "middle right" for right in is_right],
            cliponaxis=False,
            marker={"color": ORANGE, "symbol": "star", "size": 15, "line": {"width": 1, "color": "#7a5200"}},
        )
    )


def add_limit(figure: go.Figure, facts: StudyFacts, x: str, is_log: bool) -> None:
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
