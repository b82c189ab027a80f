"""Which is better: dominance, the Pareto front and its hypervolume.

Points are rows of a float array (n, m), one column for each objective, all MINIMISED; turn signs before coming here.
A reference is a row of m numbers, the worst point that still counts. A trial without values may stand as a row of
+inf: it dominates nothing and adds no hypervolume. NaN is refused.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Row = tuple[float, float]


def dominates(first: npt.ArrayLike, second: npt.ArrayLike) -> bool:
    """Whether one point is nowhere worse than another and somewhere better."""
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    return bool((one <= other).all() and (one < other).any())


def non_dominated(points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """The mask (n,) of points that no other point dominates. Equal points on the front are all kept."""
    rows = _checked(points)
    if not len(rows):
        return np.zeros(0, dtype=bool)
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    mask = _front_of_two(unique) if rows.shape[1] == 2 else _front_of_many(unique)
    return mask[inverse.reshape(-1)]


def non_dominated_ranks(points: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Ranks (n,): 0 on the front, 1 on the front of what is left without it, and so on."""
    rows = _checked(points)
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    ranks = _ranks_of_two(unique) if rows.shape[1] == 2 else _ranks_of_many(unique)
    return ranks[inverse.reshape(-1)]


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The volume that the points dominate within the reference, exact in any number of objectives.

    O(n log n) for two objectives, O(n^2 log n) for three, one more factor n for each objective after that.
    """
    rows, limit = _checked(points), _checked_reference(points, reference)
    inside = rows[(rows < limit).all(axis=1)]
    return _volume(inside[non_dominated(inside)], limit) if len(inside) else 0.0


def hypervolume_history(points: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """The hypervolume (n,) of the first point, the first two, …, all of them, in the order in which they came."""
    rows, limit = _checked(points), _checked_reference(points, reference)
    inside = (rows < limit).all(axis=1)
    gains = np.zeros(len(rows))
    kept = _gains_of_two(rows[inside], limit) if rows.shape[1] == 2 else _gains_of_many(rows[inside], limit)
    gains[inside] = kept
    return np.cumsum(gains)


def _checked(points: npt.ArrayLike) -> Floats:
    rows = np.asarray(points, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] < 1:
        raise ValueError(f"points are an array (number of points, number of objectives), given shape {rows.shape}")
    if np.isnan(rows).any():
        raise ValueError(f"point {int(np.argwhere(np.isnan(rows))[0, 0])} has a NaN; leave it out or write +inf")
    return rows


def _checked_reference(points: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    limit = np.asarray(reference, dtype=np.float64)
    objectives = np.asarray(points, dtype=np.float64).shape[1]
    if limit.shape != (objectives,) or not np.isfinite(limit).all():
        raise ValueError(f"a reference has {objectives} finite numbers, one for each objective, given {reference!r}")
    return limit


def _front_of_two(unique: Floats) -> npt.NDArray[np.bool_]:
    """Of distinct points in lexicographic order: those lower than everything to their left."""
    lowest_before = np.minimum.accumulate(unique[:, 1])[:-1]
    return np.concatenate(([True], unique[1:, 1] < lowest_before))


def _front_of_many(unique: Floats) -> npt.NDArray[np.bool_]:
    """Of distinct points in lexicographic order: the first one left is on the front; drop what it dominates; repeat."""
    mask = np.zeros(len(unique), dtype=bool)
    left = np.arange(len(unique))
    while len(left):
        best, left = left[0], left[1:]
        mask[best] = True
        left = left[(unique[left] < unique[best]).any(axis=1)]
    return mask


def _ranks_of_two(unique: Floats) -> npt.NDArray[np.int64]:
    """In lexicographic order a point joins the first front whose lowest second objective so far lies above its own."""
    lowest: list[float] = []
    ranks = np.empty(len(unique), dtype=np.int64)
    for index, height in enumerate(unique[:, 1].tolist()):
        rank = bisect_right(lowest, height)
        lowest[rank : rank + 1] = [height]
        ranks[index] = rank
    return ranks


def _ranks_of_many(unique: Floats) -> npt.NDArray[np.int64]:
    ranks = np.empty(len(unique), dtype=np.int64)
    left = np.arange(len(unique))
    rank = 0
    while len(left):
        front = _front_of_many(unique[left])
        ranks[left[front]] = rank
        left, rank = left[~front], rank + 1
    return ranks


def _volume(front: Floats, limit: Floats) -> float:
    """Slices along the last objective; each slice is a volume of one objective less. `front` lies within `limit`."""
    if front.shape[1] == 1:
        return float(limit[0] - front.min())
    if front.shape[1] == 2:
        return _area(front, limit)
    front = front[np.argsort(front[:, -1], kind="stable")]
    thickness = np.diff(front[:, -1], append=limit[-1])
    total = 0.0
    for count, depth in enumerate(thickness.tolist(), 1):
        if depth > 0:
            below = front[:count, :-1]
            total += depth * _volume(below[non_dominated(below)], limit[:-1])
    return total


def _area(front: Floats, limit: Floats) -> float:
    """`front`: mutually non-dominated points of two objectives, so heights fall from left to right."""
    front = front[np.argsort(front[:, 0], kind="stable")]
    heights = np.concatenate(([limit[1]], front[:-1, 1])) - front[:, 1]
    return float(np.sum((limit[0] - front[:, 0]) * heights))


def _gains_of_two(rows: Floats, limit: Floats) -> list[float]:
    """What each point adds to the area; the front is kept sorted from left to right."""
    front: list[Row] = []
    return [_insert(front, row[0], row[1], (float(limit[0]), float(limit[1]))) for row in rows.tolist()]


def _insert(front: list[Row], x: float, y: float, limit: Row) -> float:
    """Puts (x, y) on the front, takes off what it dominates, and returns the area gained (0 where it is dominated)."""
    start = bisect_left(front, (x, y))
    ceiling = front[start - 1][1] if start else limit[1]
    if ceiling <= y or (start < len(front) and front[start] == (x, y)):
        return 0.0
    gain, left, end = 0.0, x, start
    while end < len(front) and front[end][1] >= y:
        gain += (front[end][0] - left) * (ceiling - y)
        left, ceiling = front[end]
        end += 1
    right = front[end][0] if end < len(front) else limit[0]
    del front[start:end]
    insort(front, (x, y))
    return gain + (right - left) * (ceiling - y)


def _gains_of_many(rows: Floats, limit: Floats) -> list[float]:
    """A point's gain is its own box less what the front already covers of it."""
    front = np.empty((0, rows.shape[1]))
    gains = []
    for row in rows:
        if (front <= row).all(axis=1).any():
            gains.append(0.0)
            continue
        covered = hypervolume(np.maximum(front, row), limit) if len(front) else 0.0
        gains.append(float(np.prod(limit - row)) - covered)
        front = np.vstack((front[(front < row).any(axis=1)], row))
    return gains
