"""Expected hypervolume improvement when only the error is uncertain and every cost is known exactly.

Points are minimised. A candidate at costs x would dominate, for every error level t above its own error, the box between
x and the reference costs, less what front members with errors up to t dominate there already. The parts of cost space
that each front member is the first to dominate are disjoint boxes, so the expectation is a finite sum:

    EHVI(x) = volume(x) T(r) - sum over boxes b of volume(b, right of x) (T(r) - T(error of b)),   T(e) = E[max(0, e - Y)]

with r the reference error. Exact for one or two costs; T is closed for a log-normal error (Black and Scholes).
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
Box = tuple[float, tuple[float, ...], tuple[float, ...]]  # error level, lower and upper corner in cost space


@dataclass(frozen=True, slots=True)
class Boxes:
    """Disjoint boxes of cost space with the lowest error so far in each: levels (k,), corners (k, costs)."""

    levels: Floats
    lower: Floats
    upper: Floats


def first_dominated(errors: Floats, costs: Floats, reference: Floats) -> Boxes:
    """The boxes of points with errors (n,) and costs (n, 1 or 2); `reference` is (error, costs)."""
    inside = (errors < reference[0]) & (costs < reference[1:]).all(axis=1)
    order = np.flatnonzero(inside)[np.lexsort((*costs[inside].T[::-1], errors[inside]))]
    if costs.shape[1] == 1:
        found = _intervals(errors[order], costs[order, 0], float(reference[1]))
    elif costs.shape[1] == 2:
        found = _rectangles(errors[order], costs[order], (float(reference[1]), float(reference[2])))
    else:
        raise ValueError(f"expected improvement is exact for one or two costs, given {costs.shape[1]}")
    dimensions = costs.shape[1]
    return Boxes(
        np.array([box[0] for box in found]),
        np.array([box[1] for box in found]).reshape(-1, dimensions),
        np.array([box[2] for box in found]).reshape(-1, dimensions),
    )


def _intervals(errors: Floats, costs: Floats, limit: float) -> list[Box]:
    boxes: list[Box] = []
    for error, cost in zip(errors.tolist(), costs.tolist(), strict=True):
        if cost < limit:
            boxes.append((error, (cost,), (limit,)))
            limit = cost
    return boxes


def _rectangles(errors: Floats, costs: Floats, limit: tuple[float, float]) -> list[Box]:
    """Points enter a staircase from the lowest error on; each takes the rectangles between itself and the stairs."""
    stairs: list[tuple[float, float]] = []  # from left to right, falling
    boxes: list[Box] = []
    for error, (x, y) in zip(errors.tolist(), costs.tolist(), strict=True):
        left = [stair for stair in stairs if stair[0] <= x]
        ceiling = left[-1][1] if left else limit[1]
        if ceiling <= y:
            continue
        covered = [stair for stair in stairs if stair[0] > x and stair[1] >= y]
        after = [stair for stair in stairs if stair[0] > x and stair[1] < y]
        start = x
        for stair in covered:
            boxes.append((error, (start, y), (stair[0], ceiling)))
            start, ceiling = stair
        boxes.append((error, (start, y), (after[0][0] if after else limit[0], ceiling)))
        stairs = [stair for stair in stairs if stair[0] < x or stair[1] < y]
        insort(stairs, (x, y))
    return boxes


def expected_gain(log_mean: Floats, log_deviation: Floats, costs: Floats, boxes: Boxes, reference: Floats) -> Floats:
    """EHVI (n,) of candidates whose log error is normal and whose costs (n, costs) are exact."""
    expectation = np.exp(log_mean + log_deviation**2 / 2)
    whole = np.prod(np.maximum(reference[1:] - costs, 0.0), axis=1)
    most = _shortfall(reference[0], log_mean, log_deviation, expectation)
    gain = whole * most
    for level, lower, upper in zip(boxes.levels.tolist(), boxes.lower, boxes.upper, strict=True):
        volume = np.prod(np.maximum(upper - np.maximum(lower, costs), 0.0), axis=1)
        gain -= volume * (most - _shortfall(level, log_mean, log_deviation, expectation))
    return np.asarray(np.maximum(gain, 0.0))


def _shortfall(level: float, log_mean: Floats, log_deviation: Floats, expectation: Floats) -> Floats:
    """E[max(0, level - Y)] for log Y ~ N(log_mean, log_deviation²), whose mean is `expectation`."""
    z = (np.log(level) - log_mean) / log_deviation
    return np.asarray(level * ndtr(z) - expectation * ndtr(z - log_deviation))
