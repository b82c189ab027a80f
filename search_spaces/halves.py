"""One half of a trellis, from state 0 to the boundary in the middle: its paths spelled out, or summed up.

Both forms keep rows sorted by state and then by the first column, `sums` (rows, columns), and how many paths each row
stands for. What can never keep the budget is left out on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from search_spaces.block_costs import Integers
from search_spaces.trellis import Bounds, Step, Trellis, bounds_to_end, path_counts

Links = npt.NDArray[np.int32]
Counts = npt.NDArray[Any]  # int64, or Python integers where those would overflow
LARGEST = 1 << 62
DENSE = 4  # a table is spread out when that takes no more than so many cells for each entry
LARGEST_SPREAD = 1 << 26  # cells
BLOCK = 1 << 22  # numbers handled at once


class Half(Protocol):
    """Rows of state s are start[s] to start[s + 1]; `counts` (rows,) is None where each is one path."""

    start: Integers
    sums: Integers

    @property
    def counts(self) -> Counts | None: ...

    def unroll(self, rng: np.random.Generator, rows: Integers) -> Integers:
        """A uniformly drawn path of each row, as choices (rows, steps)."""


Thin = Callable[[Integers, Integers], Integers]  # states (rows,) and sums (rows, columns) -> the rows worth keeping


class ListedHalf:
    """Every path of the first `length` steps is a row, or those that `thin` keeps of every boundary's."""

    counts: Counts | None = None

    def __init__(self, trellis: Trellis, length: int, thin: Thin | None = None) -> None:
        self._steps = [step.take(np.argsort(step.source, kind="stable")) for step in trellis.steps[:length]]
        self._came_from: list[tuple[Links, Links]] = []  # for every step and row behind it: the row before, the edge
        state = np.zeros(1, dtype=np.int64)
        self.sums = np.zeros((1, len(trellis.columns)), dtype=np.int64)
        for step, rest in zip(self._steps, bounds_to_end(trellis.steps)[1:], strict=False):
            row, edge = _continued(step, state)
            state, sums = step.target[edge], self.sums[row] + step.sums[edge]
            kept = np.flatnonzero(_can_keep(trellis, rest, state, sums))
            kept = kept if thin is None else kept[thin(state[kept], sums[kept])]
            kept = kept if step is not self._steps[-1] else kept[_order(state[kept], sums[kept, 0])]
            state, self.sums = state[kept], sums[kept]
            self._came_from.append((row[kept].astype(np.int32), edge[kept].astype(np.int32)))
        self.start = np.searchsorted(state, np.arange(self._steps[-1].targets + 1))

    def unroll(self, rng: np.random.Generator, rows: Integers) -> Integers:
        choices = np.empty((len(rows), len(self._steps)), dtype=np.int64)
        for index in reversed(range(len(self._steps))):
            row, edge = self._came_from[index]
            choices[:, index] = self._steps[index].choice[edge[rows]]
            rows = row[rows].astype(np.int64)
        return choices


def _order(state: Integers, sums: Integers) -> Integers:
    """By state, then by sum."""
    return np.argsort(state * (1 + sums.max(initial=0)) + sums)


def _continued(step: Step, state: Integers) -> tuple[Integers, Integers]:
    """Every pair of a row and an edge (sorted by source) that leaves its state."""
    start = np.searchsorted(step.source, np.arange(step.sources + 1))
    fan = (start[1:] - start[:-1])[state]
    row = np.repeat(np.arange(len(state)), fan)
    within = np.arange(len(row)) - np.repeat(np.cumsum(fan) - fan, fan)
    return row, start[state[row]] + within


def _can_keep(trellis: Trellis, rest: Bounds, state: Integers, sums: Integers) -> npt.NDArray[np.bool_]:
    least, most = rest
    farthest, nearest = sums + most[state], sums + least[state]
    return np.asarray(((farthest >= trellis.low) & (nearest <= trellis.high)).all(axis=1))


@dataclass(slots=True)
class _Table:
    """How many paths lead to each sum, in one state: sorted sums, counts, perhaps counts spread out over all sums."""

    sums: Integers
    counts: Counts
    spread: Counts | None = None

    def __post_init__(self) -> None:
        if len(self.sums) and self.sums[-1] < DENSE * len(self.sums):
            self.spread = np.zeros(self.sums[-1] + 1, dtype=self.counts.dtype)
            self.spread[self.sums] = self.counts

    def at(self, sums: Integers) -> Counts:
        """The counts of any sums, 0 where there is no path."""
        if not len(self.sums):
            return np.zeros(sums.shape, dtype=np.int64)
        if self.spread is not None:
            inside = (sums >= 0) & (sums < len(self.spread))
            return np.where(inside, self.spread[np.where(inside, sums, 0)], 0)
        place = np.minimum(np.searchsorted(self.sums, sums), len(self.sums) - 1)
        return np.where(self.sums[place] == sums, self.counts[place], 0)


class SummedHalf:
    """Every distinct sum of the first `length` steps is a row, for trellises of one column and any size."""

    def __init__(self, trellis: Trellis, length: int) -> None:
        assert len(trellis.columns) == 1, trellis.columns
        self._steps = trellis.steps[:length]
        many = max(max(counts) for counts in path_counts(self._steps)) >= LARGEST
        one = np.ones(1, dtype=object if many else np.int64)
        self._tables = [[_Table(np.zeros(1, dtype=np.int64), one)]]
        for step, rest in zip(self._steps, bounds_to_end(trellis.steps)[1:], strict=False):
            self._tables.append(list(_advanced(trellis, step, self._tables[-1], rest)))
        last = self._tables[-1]
        self.start = np.cumsum([0, *(len(table.sums) for table in last)])
        self.sums = np.concatenate([table.sums for table in last])[:, None]
        self.counts = np.concatenate([table.counts for table in last])

    def unroll(self, rng: np.random.Generator, rows: Integers) -> Integers:
        state = np.searchsorted(self.start, rows, side="right") - 1
        sums = self.sums[rows, 0]
        choices = np.empty((len(rows), len(self._steps)), dtype=np.int64)
        for index in reversed(range(len(self._steps))):
            step, before = self._steps[index], self._tables[index]
            came_from = np.empty_like(state)
            for target in np.unique(state).tolist():
                here = np.flatnonzero(state == target)
                into = step.take(step.target == target)
                edge = _drawn_edges(rng, before, into, sums[here])
                choices[here, index], came_from[here] = into.choice[edge], into.source[edge]
                sums[here] -= into.sums[edge, 0]
            state = came_from
        return choices


def _drawn_edges(rng: np.random.Generator, before: list[_Table], into: Step, sums: Integers) -> Integers:
    """For each sum, an edge drawn by the number of paths that come through it."""
    drawn = np.empty(len(sums), dtype=np.int64)
    block = max(1, BLOCK // len(into.source))
    for start in range(0, len(sums), block):
        part = slice(start, start + block)
        left = sums[part, None] - into.sums[:, 0]
        counts = np.empty(left.shape, dtype=before[0].counts.dtype)
        for source in np.unique(into.source).tolist():
            edges = into.source == source
            counts[:, edges] = before[source].at(left[:, edges])
        below = np.cumsum(counts, axis=1)
        drawn[part] = (below <= ranks_below(rng, below[:, -1])[:, None]).sum(axis=1)
    return drawn


def _advanced(trellis: Trellis, step: Step, before: list[_Table], rest: Bounds) -> Iterator[_Table]:
    """The table of every state behind a step, without the sums that can no longer keep the budget."""
    least, most = rest
    for target in range(step.targets):
        into = step.take(step.target == target)
        pieces = [(before[source], added) for source, added in zip(into.source, into.sums[:, 0].tolist(), strict=True)]
        highest = int(trellis.high[0] - least[target, 0])
        sums, counts = _added(pieces, highest, before[0].counts.dtype)
        kept = sums + most[target, 0] >= trellis.low[0]
        yield _Table(sums[kept], counts[kept])


def _added(pieces: list[tuple[_Table, int]], highest: int, dtype: npt.DTypeLike) -> tuple[Integers, Counts]:
    """All pieces, each shifted by its number, as distinct sums up to `highest` and their counts."""
    pieces = [(table, added) for table, added in pieces if len(table.sums) and added <= highest]
    entries = sum(len(table.sums) for table, _ in pieces)
    top = 1 + min(highest, max((int(table.sums[-1]) + added for table, added in pieces), default=-1))
    if top > min(DENSE * entries, LARGEST_SPREAD):
        return _merged(pieces, highest, dtype)
    spread = np.zeros(max(top, 0), dtype=dtype)
    for table, added in pieces:
        if table.spread is not None:
            spread[added : added + len(table.spread)] += table.spread[: top - added]
        else:
            fitting = int(np.searchsorted(table.sums, top - added))
            spread[table.sums[:fitting] + added] += table.counts[:fitting]
    sums = np.flatnonzero(spread)
    return sums, spread[sums]


def _merged(pieces: list[tuple[_Table, int]], highest: int, dtype: npt.DTypeLike) -> tuple[Integers, Counts]:
    """The same where sums lie too far apart to be spread out: sorted, a block at a time."""
    sums, counts = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=dtype)
    waiting: list[tuple[Integers, Counts]] = []
    for index, (table, added) in enumerate(pieces, 1):
        waiting.append((table.sums + added, table.counts))
        if index == len(pieces) or sum(len(part) for part, _ in waiting) > BLOCK:
            sums = np.concatenate([sums, *(part for part, _ in waiting)])
            counts = np.concatenate([counts, *(part for _, part in waiting)])
            order = np.argsort(sums, kind="stable")
            first = np.flatnonzero(np.diff(sums[order], prepend=-1))
            sums, counts, waiting = sums[order][first], np.add.reduceat(counts[order], first), []
    return sums[sums <= highest], counts[sums <= highest]


def ranks_below(rng: np.random.Generator, totals: Counts) -> Counts:
    """For each total a whole number from 0 to one less, uniformly; totals may be Python integers of any size."""
    if totals.dtype != object:
        return rng.integers(totals)
    return np.array([_rank_below(rng, int(total)) for total in totals] + [None], dtype=object)[:-1]


def _rank_below(rng: np.random.Generator, total: int) -> int:
    bits = total.bit_length()
    while True:  # accepts at least every other draw
        rank = int.from_bytes(rng.bytes(-(-bits // 8)), "little") >> (-bits % 8)
        if rank < total:
            return rank
