"""The front as a figure fit for a paper: SVG or PDF, one column wide, without a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.typing import RcKeyType

from dashboards.front import Mask, column, found, front, objective, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import GREY, ORANGE, family_colours
from dashboards.words import compact, plain, shown_name

Kind = Literal["svg", "pdf"]
WIDTH, HEIGHT = 3.5, 2.6  # inches: one column of a two-column paper
KINDS: Mapping[str, Kind] = {"svg": "svg", "pdf": "pdf"}
MARKS = ("o", "s", "D", "^", "P", "p")
STYLE: dict[RcKeyType, str | float | bool] = {
    "font.size": 8,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "igcv",  # the same study gives the same file
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def write_front(path: str | Path, rows: Sequence[TrialRow], facts: StudyFacts, x: str = "macs") -> None:
    """Writes the front of accuracy against `x`; the name's ending chooses: .svg or .pdf."""
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ValueError(f"{path}: a figure for a paper ends in .svg or .pdf")
    Path(path).write_bytes(front_image(rows, facts, x, KINDS[kind]))


def front_image(rows: Sequence[TrialRow], facts: StudyFacts, x: str = "macs", kind: Kind = "svg") -> bytes:
    """The same as bytes."""
    buffer = BytesIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure.subplots(), rows, facts, x)
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"CreationDate": None})
    return buffer.getvalue()


def _draw(axes: Axes, rows: Sequence[TrialRow], facts: StudyFacts, x: str) -> None:
    pair = ("accuracy", x)
    members, known = front(rows, pair), references(rows) & np.isfinite(column(rows, x))
    axes.set_xlabel(objective(x).title)
    axes.set_ylabel("accuracy (%)")
    if objective(x).log:
        _log_axis(axes)
    _points(axes, rows, found(rows, pair) & ~members, x, faint=True)
    costs, accuracies = column(rows, x)[members], 100 * column(rows, "accuracy")[members]
    order = np.argsort(costs)
    axes.step(costs[order], accuracies[order], where="post", color=GREY, linewidth=0.8, zorder=2)
    _points(axes, rows, members, x, faint=False)
    _references(axes, [row for row, is_one in zip(rows, known, strict=True) if is_one], x)
    if x in facts.limits:
        axes.axvline(facts.limits[x], color="black", linestyle="--", linewidth=0.8, label="budget")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="upper left", fontsize=7, handletextpad=0.3)


def _log_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value).replace(".00", "").replace(".0", "")))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _points(axes: Axes, rows: Sequence[TrialRow], mask: Mask, x: str, faint: bool) -> None:
    families = family_colours(row.family for row in rows if row.source == "search")
    for (family, colour), mark in zip(families.items(), MARKS * len(families), strict=False):
        of_family = [row for row, shown in zip(rows, mask, strict=True) if shown and row.family == family]
        if of_family:
            spread = [100 * (row.accuracy_std or 0.0) for row in of_family]
            axes.errorbar(
                column(of_family, x),
                100 * column(of_family, "accuracy"),
                yerr=spread if any(spread) else None,
                fmt=mark,
                color=colour,
                markersize=2 if faint else 4.5,
                alpha=0.3 if faint else 1.0,
                elinewidth=0.8,
                rasterized=faint and len(of_family) > 2000,
                label=None if faint else plain(family, 20),
                zorder=1 if faint else 3,
            )


def _references(axes: Axes, rows: list[TrialRow], x: str) -> None:
    """Stars with their names, which stand on the side where there is room."""
    low, high = axes.get_xlim()
    middle = (low * high) ** 0.5 if objective(x).log else (low + high) / 2
    for row in rows:
        place = (column([row], x)[0], 100 * column([row], "accuracy")[0])
        axes.plot(
            *place, marker="*", color=ORANGE, markeredgecolor="black", markeredgewidth=0.4, markersize=8, zorder=4
        )
        side, anchor = (-4, "right") if place[0] > middle else (4, "left")
        axes.annotate(
            plain(shown_name(row), 24), place, xytext=(side, -2), textcoords="offset points", fontsize=6, ha=anchor
        )
