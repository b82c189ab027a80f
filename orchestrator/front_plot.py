"""The front as a small plot of characters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboards.front import objective
from dashboards.table import TrialRow
from dashboards.words import compact

LEAST_WIDTH, LEAST_HEIGHT = 36, 8  # characters, axes included
MARKS = {"other": "·", "reference": "★", "front": "●"}  # later ones cover earlier ones
ASCII_MARKS = {"other": ".", "reference": "*", "front": "o"}
CORNER, SIDE, BELOW = {True: "+", False: "└"}, {True: "|", False: "│"}, {True: "-", False: "─"}  # by: ASCII alone
Kind = str
Point = tuple[float, float, Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Places values on `cells` characters; a span of nothing has its value in the middle."""

    low: float
    high: float
    cells: int
    log: bool = False

    def place(self, value: float) -> int:
        low, high, at = (math.log10(max(v, 1e-12)) if self.log else v for v in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return min(self.cells - 1, max(0, round(share * (self.cells - 1))))

    def middle(self) -> float:
        """The value in the middle of the axis."""
        return math.sqrt(self.low * self.high) if self.log and self.low > 0 else (self.low + self.high) / 2


def front_plot(
    rows: Iterable[TrialRow],
    members: Sequence[TrialRow],
    width: int,
    height: int,
    cost: str = "macs",
    is_ascii: bool = False,
) -> list[str]:
    """Lines of text: accuracy upwards, the cost to the right. Empty where there is nothing to draw, or no room."""
    points = _points(rows, {row.number for row in members}, cost)
    if not points or width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return []
    costs, accuracies = [x for x, _, _ in points], [y for _, y, _ in points]
    across = Axis(low=min(costs), high=max(costs), cells=width - 8, log=objective(cost).log)
    up = Axis(low=min(accuracies), high=max(accuracies), cells=height - 2)
    grid = [[" "] * across.cells for _ in range(up.cells)]
    for kind, mark in (ASCII_MARKS if is_ascii else MARKS).items():
        for x, y, which in points:
            if which == kind:
                grid[up.cells - 1 - up.place(y)][across.place(x)] = mark
    labels = {up.cells // 2: up.middle()} | ({0: up.high, up.cells - 1: up.low} if up.high > up.low else {})
    corner, side, below = CORNER[is_ascii], SIDE[is_ascii], BELOW[is_ascii]
    lines = [
        (f"{labels[line]:6.1%}" if line in labels else " " * 6) + f" {side}" + "".join(cells)
        for line, cells in enumerate(grid)
    ]
    return [line.rstrip() for line in (*lines, " " * 7 + corner + below * across.cells, _below(across, cost))]


def _points(rows: Iterable[TrialRow], on_front: set[int], cost: str) -> list[Point]:
    return [
        (float(x), row.accuracy, "front" if row.number in on_front else _kind(row))
        for row in rows
        if row.accuracy is not None and (x := getattr(row, cost)) is not None
    ]


def _kind(row: TrialRow) -> Kind:
    return "reference" if row.source == "reference" else "other"


def _below(axis: Axis, cost: str) -> str:
    """The numbers below the axis: its ends and its middle, and what they count."""
    if axis.low == axis.high:
        return " " * 8 + f"{compact(axis.low)} {objective(cost).title}".center(axis.cells)
    low, high = compact(axis.low), f"{compact(axis.high)} {objective(cost).title}"
    line = f"{low}{compact(axis.middle()):^{max(0, axis.cells - len(low) - len(high))}}{high}"
    return " " * 8 + line
