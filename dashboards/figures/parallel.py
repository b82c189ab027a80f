"""Parallel coordinates: what all families share, or one family with its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.style import SCALE, evenly, new_figure, note, small
from dashboards.front import OBJECTIVES, Floats, column, found, front, objective
from dashboards.importance import importances
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import compact, percent, plain, safe
from search_spaces.networks import Value

MOST_LINES = 1500
MOST_PARAMETERS = 9
Dimension = dict[str, object]


def parallel_figure(rows: Sequence[TrialRow], facts: StudyFacts, family: str | None = None) -> go.Figure:
    """One line for each network that was found, coloured by accuracy; with a family, its most important parameters."""
    return parallel_lines(rows, facts, family)


def parallel_lines(
    rows: Sequence[TrialRow], facts: StudyFacts, family: str | None, studies: Mapping[int, str] | None = None
) -> go.Figure:
    """The same; `studies`, the study of each trial by its number, become the first axis where there are several."""
    figure = new_figure(460)
    on_front = front(rows, facts.objectives)
    kept = [
        index
        for index in np.flatnonzero(found(rows, facts.objectives)).tolist()
        if family in (None, rows[index].family)
    ]
    if not kept:
        return note(figure, "No training is complete yet.")
    front_first = sorted(kept, key=lambda index: not on_front[index])
    shown = [front_first[index] for index in evenly(len(front_first), MOST_LINES)]
    shown_rows = [rows[index] for index in shown]
    first = _choices("family", [row.family for row in shown_rows]) if family is None else None
    dimensions = [first] if first else _parameters(rows, shown_rows, facts, str(family))
    if studies:
        names = list(dict.fromkeys(plain(name, 40) for name in studies.values()))
        dimensions.insert(0, _choices("study", [plain(studies[row.number], 40) for row in shown_rows], names))
    dimensions += [_choices("front", ["yes" if on_front[index] else "no" for index in shown])]
    dimensions += [
        _measured(shown_rows, name) for name in dict.fromkeys(("depth", "params", "macs", *facts.objectives[::-1]))
    ]
    figure.add_trace(_lines([dimension for dimension in dimensions if dimension], column(shown_rows, "accuracy")))
    return figure.update_layout(margin={"l": 56, "r": 56, "t": 48, "b": 24})


def _lines(dimensions: list[Dimension], accuracy: Floats) -> go.Parcoords:
    known = accuracy[np.isfinite(accuracy)]
    return go.Parcoords(
        dimensions=dimensions,
        line={
            "color": np.nan_to_num(accuracy).astype(np.float32),
            "colorscale": SCALE,
            "cmin": float(known.min()) if len(known) else 0,
            "cmax": float(known.max()) if len(known) else 1,
            "showscale": True,
            "colorbar": {"title": {"text": "accuracy"}, "tickformat": ".0%", "thickness": 12},
        },
        unselected={"line": {"opacity": 0.06}},
    )


def _parameters(all_rows: Sequence[TrialRow], rows: list[TrialRow], facts: StudyFacts, family: str) -> list[Dimension]:
    """The parameters with several values, the most important ones, in the order in which the space has them."""
    order = list(dict.fromkeys(name for row in rows for name in row.parameters))
    ranked = [f"{family}.{importance.parameter}" for importance in importances(all_rows, facts.objectives, family)]
    names = sorted(order, key=lambda name: ranked.index(name) if name in ranked else len(ranked))[:MOST_PARAMETERS]
    columns = {name: [row.parameters.get(name) for row in rows] for name in sorted(names, key=order.index)}
    return [_parameter(name.split(".", 1)[-1], values) for name, values in columns.items() if len(set(values)) > 1]


def _parameter(name: str, values: list[Value | None]) -> Dimension:
    """Numbers stand at their rank, so that 16, 32, 64 are evenly apart; what is inactive stands below."""
    numeric = all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
    if numeric and len(set(values)) > 12:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        return _scale(name, np.nan_to_num(numbers, nan=float(np.nanmin(numbers))), log=False)
    named = sorted({value for value in values if value is not None}, key=lambda value: (not numeric, str(value)))
    named = sorted(named, key=float) if numeric else named
    labels = {value: ("no", "yes")[value] if isinstance(value, bool) else str(value) for value in named}
    texts = ["inactive" if value is None else labels[value] for value in values]
    order = (["inactive"] if None in values else []) + [labels[value] for value in named]
    return _choices(name, texts, order)


def _choices(name: str, texts: list[str], order: list[str] | None = None) -> Dimension:
    """Named places on an axis; lines are spread a little around them, always in the same way, to be told apart."""
    names = order or sorted(set(texts))
    spread = 0.16 * (np.arange(len(texts)) * 0.618034 % 1.0 - 0.5)
    return {
        "label": safe(name, 24),
        "values": small(np.array([names.index(text) for text in texts]) + spread),
        "tickvals": list(range(len(names))),
        "ticktext": [plain(text, 16) for text in names],  # drawn as it is, unlike all other texts of a figure
        "range": [-0.2, max(len(names) - 1, 0.5) + 0.2],
    }


def _measured(rows: list[TrialRow], name: str) -> Dimension:
    values = column(rows, name)
    if not np.isfinite(values).any():
        return {}
    filled = np.where(np.isfinite(values), values, np.nanmin(values))
    return _scale(name, filled, log=objective(name).log and bool((filled > 0).all()))


def _scale(name: str, values: Floats, log: bool) -> Dimension:
    """A continuous axis with six ticks; logarithms are drawn where asked, their values written."""
    drawn = np.log10(values) if log else values
    low, high = float(drawn.min()), float(drawn.max())
    ticks = np.linspace(low, high, 6) if high > low else np.array([low])
    if name == "depth":
        ticks = np.unique(np.round(ticks))
    written = percent if name == "accuracy" else compact
    return {
        "label": safe(OBJECTIVES[name].title if name in OBJECTIVES else name, 24),
        "values": small(drawn),
        "tickvals": [float(tick) for tick in ticks],
        "ticktext": [written(float(10**tick if log else tick)) for tick in ticks],
        "range": [low, high] if high > low else [low - 0.5, high + 0.5],
    }
