"""Which worker trained what and when, and which were lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboards.figures.style import new_figure, note
from dashboards.table import Stint, StudyFacts, TrialRow
from dashboards.theme import STATE_COLOURS
from dashboards.words import duration, safe, shown_name

MOST_STINTS = 3000  # the latest
_Stay = tuple[TrialRow, Stint]


def timeline_figure(rows: Sequence[TrialRow], facts: StudyFacts) -> go.Figure:
    """A bar for each stay of a trial on a worker, coloured by how it ended; a cross where the worker was lost."""
    stays = sorted(((row, stint) for row in rows for stint in stints(row)), key=lambda stay: stay[1].started_at)
    stays = stays[-MOST_STINTS:]
    names = sorted({stint.worker for _, stint in stays})
    figure = new_figure(150 + 26 * max(3, len(names)))
    if not stays:
        return note(figure, "No training has started yet.")
    now = facts.updated_at if facts.updated_at is not None else max(_end(stay[1], 0.0) for stay in stays)
    for ended in dict.fromkeys(("complete", "pruned", "paused", "failed", "lost", *(_ended(s) for s in stays))):
        _add_bars(figure, [stay for stay in stays if _ended(stay) == ended], ended, now, names)
    _add_losses(figure, [stay for stay in stays if _ended(stay) == "lost"], now, names)
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=[safe(name, 30) for name in names], range=[len(names) - 0.4, -0.6]
    )
    return figure.update_xaxes(type="date", title="UTC").update_layout(showlegend=True)


def stints(row: TrialRow) -> tuple[Stint, ...]:
    """The trial's stays on workers; one, from start to end, where they were not recorded one by one."""
    if row.stints or row.started_at is None or row.worker is None:
        return row.stints
    ended = None if row.ended_at is None else row.state
    return (Stint(worker=row.worker, started_at=row.started_at, ended_at=row.ended_at, ended=ended),)


def _ended(stay: _Stay) -> str:
    return stay[1].ended or (stay[0].state if stay[1].ended_at is not None else "training")


def _end(stint: Stint, now: float) -> float:
    return stint.ended_at if stint.ended_at is not None else max(now, stint.started_at)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _add_bars(figure: go.Figure, stays: list[_Stay], ended: str, now: float, names: list[str]) -> None:
    """One thick line with gaps: thousands of stays are one path to the browser."""
    if not stays:
        return
    spans = [(stint.started_at, _end(stint, now)) for _, stint in stays]
    figure.add_trace(
        go.Scatter(
            x=list(chain.from_iterable((_moment(start), _moment(end), None) for start, end in spans)),
            y=_thrice([names.index(stint.worker) for _, stint in stays]),
            customdata=_thrice([row.number for row, _ in stays]),
            hovertext=list(chain.from_iterable([_told(stay, ended, now)] * 3 for stay in stays)),
            hovertemplate="%{hovertext}<extra></extra>",
            mode="lines",
            line={"color": STATE_COLOURS.get(ended, STATE_COLOURS["queued"]), "width": 12},
            name=safe(ended, 20),
        )
    )


def _thrice(values: list[int]) -> npt.NDArray[np.int32]:
    return np.repeat(np.array(values, dtype=np.int32), 3)


def _told(stay: _Stay, ended: str, now: float) -> str:
    row, stint = stay
    return (
        f"{safe(shown_name(row), 40)} #{row.number}<br>{safe(ended)}, {duration(_end(stint, now) - stint.started_at)}"
    )


def _add_losses(figure: go.Figure, stays: list[_Stay], now: float, names: list[str]) -> None:
    if stays:
        figure.add_trace(
            go.Scatter(
                x=[_moment(_end(stint, now)) for _, stint in stays],
                y=[names.index(stint.worker) for _, stint in stays],
                customdata=np.array([row.number for row, _ in stays], dtype=np.int32),
                hovertext=[safe(shown_name(row), 40) for row, _ in stays],
                hovertemplate="worker lost with %{hovertext} #%{customdata}<extra></extra>",
                mode="markers",
                marker={"symbol": "x", "size": 11, "color": STATE_COLOURS["failed"], "line": {"width": 1}},
                name="worker lost",
            )
        )
