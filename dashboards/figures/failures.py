"""What failed, by kind and family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.style import new_figure, note
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import family_colours
from dashboards.words import safe

UNKNOWN = "unknown"


def failures_figure(rows: Sequence[TrialRow], facts: StudyFacts) -> go.Figure:
    """Failed trials by kind, a bar for each, split by family; lost workers, whose trials resume, are not among them."""
    failed = [row for row in rows if row.state == "failed"]
    kinds = [kind for kind, _ in Counter(row.failure_kind or UNKNOWN for row in failed).most_common()][::-1]
    figure = new_figure(130 + 36 * max(2, len(kinds)))
    if not failed:
        return note(figure, "Nothing failed.")
    for family, colour in family_colours(row.family for row in rows).items():
        counts = Counter(row.failure_kind or UNKNOWN for row in failed if row.family == family)
        if counts:
            figure.add_trace(
                go.Bar(
                    x=[counts[kind] for kind in kinds],
                    y=[safe(kind.replace("_", " "), 30) for kind in kinds],
                    orientation="h",
                    marker={"color": colour},
                    name=safe(family, 30),
                    hovertemplate="%{y}: %{x}<extra>" + safe(family, 30).replace("%{", "% {") + "</extra>",
                )
            )
    figure.update_layout(barmode="stack", showlegend=True)
    most = max(Counter(row.failure_kind or UNKNOWN for row in failed).values())
    return figure.update_xaxes(title="trials", tickformat="d", dtick=1 if most < 12 else None, range=[0, most * 1.04])
