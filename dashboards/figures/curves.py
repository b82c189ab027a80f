"""Learning curves: the front's members in colour, the others faint, rungs and stops marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.style import evenly, new_figure, note
from dashboards.front import front_rows
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import FAMILY_COLOURS, GREY, ORANGE, SKY, VERMILLION
from dashboards.words import safe, shown_name

MOST_MEMBERS = 12
MOST_FAINT = 150  # of each kind
_KINDS = (
    ("complete", "not on the front", GREY, 0.45),
    ("pruned", "stopped at a rung", SKY, 0.5),
    ("failed", "failed", VERMILLION, 0.7),
    ("training", "training", ORANGE, 0.9),
    ("paused", "paused at a rung", ORANGE, 0.9),
)
REFERENCE = "reference"
_DASHES = ("solid", "dash", "dot")


def curves_figure(rows: Sequence[TrialRow], facts: StudyFacts) -> go.Figure:
    """Validation accuracy against epochs; of many trials an even sample is drawn."""
    figure = new_figure(460).update_yaxes(title="validation accuracy", tickformat=".0%")
    figure.update_xaxes(title="epoch", rangemode="tozero")
    members = front_rows(rows, facts.objectives)
    members = [members[index] for index in evenly(len(members), MOST_MEMBERS)]
    on_front = {row.number for row in members}
    drawn = [row for row in rows if row.epochs and row.number not in on_front]
    if not drawn and not any(row.epochs for row in members):
        return note(figure, "No training has finished an epoch yet.")
    for state, name, colour, opacity in _KINDS:
        searched = [row for row in drawn if row.state == state and row.source == "search"]
        _add_faint(figure, searched, name, colour, opacity)
    _add_faint(figure, [row for row in drawn if row.source == "reference"], REFERENCE, GREY, 1.0)
    for index, row in enumerate(member for member in members if member.epochs):
        _add_member(figure, row, index)
    _add_rungs(figure, facts)
    return figure


def _add_faint(figure: go.Figure, rows: list[TrialRow], name: str, colour: str, opacity: float) -> None:
    """All curves of one kind as one line with gaps; each ends in a mark where it did not end by itself."""
    if not rows:
        return
    shown = [rows[index] for index in evenly(len(rows), MOST_FAINT)]
    part = f", {len(shown)} of {len(rows):,}" if len(shown) < len(rows) else ""
    epochs = chain.from_iterable([*(point.epoch for point in row.epochs), np.nan] for row in shown)
    accuracies = chain.from_iterable([*(point.accuracy for point in row.epochs), np.nan] for row in shown)
    figure.add_trace(
        go.Scatter(
            x=np.array(list(epochs), dtype=np.float32),
            y=np.array(list(accuracies), dtype=np.float32),
            customdata=np.repeat([row.number for row in shown], [len(row.epochs) + 1 for row in shown]).astype(
                np.int32
            ),
            mode="lines",
            line={
                "color": colour,
                "width": 1.5 if name == REFERENCE else 1,
                "dash": "dash" if name == REFERENCE else "solid",
            },
            opacity=opacity,
            name=f"{name}{part}",
            legendgroup=name,
            hovertemplate="#%{customdata}, epoch %{x}: %{y:.2%}<extra></extra>",
        )
    )
    if name not in (_KINDS[0][1], REFERENCE):
        _add_ends(figure, shown, name, colour)


def _add_ends(figure: go.Figure, rows: list[TrialRow], name: str, colour: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=[row.epochs[-1].epoch for row in rows],
            y=np.array([row.epochs[-1].accuracy for row in rows], dtype=np.float32),
            customdata=np.array([row.number for row in rows], dtype=np.int32),
            mode="markers",
            marker={"color": colour, "size": 6, "symbol": "x-thin-open" if name == "failed" else "line-ns-open"},
            legendgroup=name,
            showlegend=False,
            hovertext=[safe(shown_name(row)) for row in rows],
            hovertemplate="%{hovertext} #%{customdata}<br>" + name + " after epoch %{x}: %{y:.2%}<extra></extra>",
        )
    )


def _add_member(figure: go.Figure, row: TrialRow, index: int) -> None:
    dash = _DASHES[index // len(FAMILY_COLOURS) % len(_DASHES)]
    figure.add_trace(
        go.Scatter(
            x=[point.epoch for point in row.epochs],
            y=np.array([point.accuracy for point in row.epochs], dtype=np.float32),
            customdata=np.full(len(row.epochs), row.number, dtype=np.int32),
            mode="lines",
            line={"color": FAMILY_COLOURS[index % len(FAMILY_COLOURS)], "width": 2.2, "dash": dash},
            name=f"#{row.number}",
            hovertext=safe(shown_name(row)),
            hovertemplate="%{hovertext} #%{customdata}<br>epoch %{x}: %{y:.2%}<extra></extra>",
        )
    )


def _add_rungs(figure: go.Figure, facts: StudyFacts) -> None:
    for rung in facts.rungs:
        figure.add_vline(
            x=rung,
            line={"color": GREY, "dash": "dot", "width": 1},
            annotation={"text": f"rung {rung}", "yanchor": "top", "textangle": -90, "xanchor": "left"},
            annotation_position="top right",
        )
