"""Searches compared: lines with bands of one standard error, and pages of such figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from dashboards.figures.style import new_figure
from dashboards.front import Floats
from dashboards.theme import FAMILY_COLOURS
from dashboards.words import safe

DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One search: values y (n,) at x (n,), with a band of `error` (n,) to both sides; None: no band."""

    name: str
    x: Floats
    y: Floats
    error: Floats | None = None


def comparison_figure(lines: Sequence[Line], x_title: str, y_title: str, percent: bool = True) -> go.Figure:
    """One line for each search; a colour comes again with another dash."""
    figure = new_figure(460).update_xaxes(title=x_title, rangemode="tozero")
    figure.update_yaxes(
        title=y_title, tickformat=".0%" if percent else ",~g", rangemode="normal" if percent else "tozero"
    )
    figure.update_layout(showlegend=True)
    for index, line in enumerate(lines):
        colour = FAMILY_COLOURS[index % len(FAMILY_COLOURS)]
        dash = DASHES[index // len(FAMILY_COLOURS) % len(DASHES)]
        if line.error is not None:
            _add_band(figure, line, line.error, colour)
        figure.add_trace(
            go.Scatter(x=line.x, y=line.y, name=safe(line.name, 60), line={"color": colour, "dash": dash, "width": 2})
        )
    return figure


def _add_band(figure: go.Figure, line: Line, error: Floats, colour: str) -> None:
    edges = [(line.y - error, None), (line.y + error, "tonexty")]
    for y, fill in edges:
        figure.add_trace(
            go.Scatter(
                x=line.x,
                y=y,
                mode="lines",
                line={"width": 0, "color": colour},
                opacity=0.25,
                fill=fill,
                hoverinfo="skip",
                showlegend=False,
            )
        )


def write_figures(path: str | Path, title: str, words: str, figures: Mapping[str, go.Figure]) -> None:
    """A page of its own that needs no network: what it shows in words, and each figure under its heading."""
    parts = [
        f"<h2>{safe(heading, 200)}</h2>{figure.to_html(full_html=False, include_plotlyjs=index == 0)}"
        for index, (heading, figure) in enumerate(figures.items())
    ]
    style = "body{font-family:sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}h2{margin:2rem 0 0}"
    head = f'<meta charset="utf-8"><title>{safe(title, 200)}</title><style>{style}</style>'
    body = f"<h1>{safe(title, 200)}</h1><p>{safe(words, 2000)}</p>{''.join(parts)}"
    Path(path).write_text(f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>')
