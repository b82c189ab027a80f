"""What all figures share: templates, axes, thinning, hover texts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboards.front import Floats, objective
from dashboards.table import TrialRow
from dashboards.theme import Theme
from dashboards.words import amount, described, plain, safe, shown_name

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
MOST_SVG_POINTS = 3000  # beyond it points are drawn by WebGL
SCALE = ["#3a66d6", "#4f90b8", "#8a998c", "#c08f3c", "#e07b00"]  # blue to orange, legible on both grounds
INK = {"light": "#1b1f24", "dark": "#e6e9ed"}
_FAINT = {"light": "#8a939d", "dark": "#8a939d"}
_GRID = {"light": "#e3e6ea", "dark": "#343b44"}
_GROUND = {"light": "#ffffff", "dark": "#171b20"}


def template(theme: Theme) -> go.layout.Template:
    """The look of a figure; its ground is transparent, so that the page's shows."""
    axis = {
        "gridcolor": _GRID[theme],
        "linecolor": _GRID[theme],
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "tickcolor": _GRID[theme],
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK[theme]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 16, "t": 28, "b": 8},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
            "hoverlabel": {
                "align": "left",
                "bgcolor": _GROUND[theme],
                "bordercolor": _GRID[theme],
                "font": {"family": FONT, "color": INK[theme]},
            },
            "hovermode": "closest",
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": _FAINT[theme], "activecolor": INK[theme]},
            "annotationdefaults": {"font": {"color": INK[theme]}},
        }
    )


def new_figure(height: int = 460) -> go.Figure:
    """An empty figure in the light look."""
    return go.Figure(layout={"template": template("light"), "height": height})


def themed(figure: go.Figure, theme: Theme) -> go.Figure:
    """The figure in the other look."""
    return figure.update_layout(template=template(theme))


def axis(name: str, log: bool | None = None) -> dict[str, object]:
    """The axis of an objective: its title, log or linear (None: as is usual for it), how ticks are written."""
    shown = objective(name)
    written = "~%" if name == "accuracy" else "~s"
    if shown.log if log is None else log:
        return {"title": {"text": shown.title}, "type": "log", "tickformat": written, "dtick": "D2"}
    return {"title": {"text": shown.title}, "type": "linear", "tickformat": written}


def note(figure: go.Figure, text: str) -> go.Figure:
    """Says in the empty figure, made low, why it is empty."""
    lines = textwrap.wrap(plain(text, 200), 44)  # a narrow screen's width
    figure.add_annotation(
        text="<br>".join(safe(line) for line in lines), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
    )
    return figure.update_xaxes(visible=False).update_yaxes(visible=False).update_layout(height=110)


def small(values: Floats) -> npt.NDArray[np.float32]:
    """Single precision: enough for a screen, half the page."""
    return values.astype(np.float32)


def numbers(rows: Sequence[TrialRow]) -> npt.NDArray[np.int32]:
    """What a click gives back: the trials' numbers."""
    return np.array([row.number for row in rows], dtype=np.int32)


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` indices out of `count`, evenly spread."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


def card(row: TrialRow) -> str:
    """The whole hover text of one network: name, architecture, costs."""
    lines = [f"<b>{safe(shown_name(row))}</b> #{row.number}", safe(row.family)]
    lines += [f"{safe(name, 40)} {safe(value, 60)}" for name, value in list(described(row.parameters).items())[:14]]
    spread = f" ± {100 * row.accuracy_std:.2f}" if row.accuracy_std is not None else ""
    lines.append(f"<b>{amount('accuracy', row.accuracy)}</b>{spread}")
    lines += [amount(name, getattr(row, name)) for name in ("macs", "params")]
    return "<br>".join(lines)
