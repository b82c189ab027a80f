"""What the papers report: beside references that were trained here, and the whole catalogue on the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import plotly.graph_objects as go

from dashboards.figures.style import numbers
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import ORANGE, YELLOW
from dashboards.words import amount, safe, shown_name
from search_spaces.published.records import Quantity
from search_spaces.references import REFERENCES

PRINTED: Mapping[str, Quantity] = {"macs": "macs", "params": "params"}  # what papers print of our columns
Published = tuple[str, float, float]  # name, cost as printed, accuracy


def add_published(figure: go.Figure, rows: list[TrialRow], facts: StudyFacts, axes: tuple[str, str]) -> None:
    """Open stars at the published accuracies of the rows; other papers' networks on a click in the legend.

    Theirs are other recipes and test sets, so no line joins them to what was found here.
    """
    if axes[1] != "accuracy":
        return
    known = [row for row in rows if row.published_accuracy is not None]
    if known:
        _add(figure, [_of_row(row, axes[0]) for row in known], "reference, as published", ORANGE, known)
    names = {shown_name(row) for row in known}
    others = [one for one in published(facts.data, axes[0]) if one[0] not in names]
    if others:
        _add(figure, others, "other networks, as published", YELLOW)


@cache
def published(data: str, cost: str) -> tuple[Published, ...]:
    """The catalogue's networks with a published accuracy on this data and this cost printed."""
    quantity = PRINTED.get(cost)
    if quantity is None:
        return ()
    dataset = (data.split() or [""])[0].lower()
    found = ((name, one.printed(quantity), one.accuracy_on(dataset)) for name, one in REFERENCES.items())
    return tuple((name, float(price), value) for name, price, value in found if price and value is not None)


def _of_row(row: TrialRow, cost: str) -> Published:
    printed = {"macs": row.published_macs, "params": row.published_params}.get(cost)
    return shown_name(row), printed or getattr(row, cost), row.published_accuracy or 0.0


def _add(
    figure: go.Figure, shown: Sequence[Published], name: str, colour: str, rows: Sequence[TrialRow] | None = None
) -> None:
    figure.add_trace(
        go.Scatter(
            x=[cost for _, cost, _ in shown],
            y=[accuracy for _, _, accuracy in shown],
            customdata=numbers(rows) if rows else None,
            mode="markers",
            name=name,
            visible=True if rows else "legendonly",
            hovertext=[f"{safe(who)}, as published: {amount('accuracy', value)}" for who, _, value in shown],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={"color": colour, "symbol": "star-open", "size": 13, "line": {"width": 1.5}},
        )
    )
