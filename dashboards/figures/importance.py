"""Which parameters make the front, as bars."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.style import new_figure, note
from dashboards.importance import LEAST_TRIALS, importances
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import BLUE
from dashboards.words import safe

MOST_BARS = 14


def importance_figure(rows: Sequence[TrialRow], facts: StudyFacts, family: str | None = None) -> go.Figure:
    """The importance of a family's parameters for the front (None: of the family itself), and the preferred values."""
    known = importances(rows, facts.objectives, family)
    listed = [importance for importance in known if importance.share > 0][:MOST_BARS][::-1]
    figure = new_figure(max(200, 100 + 30 * len(listed)))
    if not known:
        return note(figure, f"Needs {LEAST_TRIALS} complete trainings and a parameter that varies.")
    if not listed:
        return note(figure, "The best choose no parameter differently from all by more than chance.")
    figure.add_trace(
        go.Bar(
            x=[importance.share for importance in listed],
            y=[safe(importance.parameter, 30) for importance in listed],
            orientation="h",
            marker={"color": BLUE},
            text=[f"prefers {safe(importance.preferred, 24)}" for importance in listed],
            textposition="auto",
            hovertemplate="%{y}: %{x:.0%} of the difference<br>the best networks %{text}<extra></extra>",
        )
    )
    return figure.update_xaxes(title="share of the difference", tickformat=".0%").update_yaxes(title=None)
